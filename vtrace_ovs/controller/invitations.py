"""Turns the remote bridges that tasks need into Controller rows that make them dial us, and takes the rows back.

On one native thread, because OVSDB and the database block. An intent is in the database before its row exists, and is
closed when the row is gone (design D1, D9).
"""

import queue
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import time

from vtrace_ovs.errors import OvsdbError, VtraceError
from vtrace_ovs.model.task import Intent, IntentDraft, IntentKind
from vtrace_ovs.model.topology import Bridge, BridgeId, ServiceController
from vtrace_ovs.session.boundary import LivenessProbe, RemoteAttachment, TaskStore

MAX_PARALLEL_SERVERS = 32


@dataclass(frozen=True, slots=True)
class Declined:
    """A remote bridge will not come; ``reason`` is a sentence."""

    bridge: BridgeId
    reason: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What ``Invitations.want`` says."""

    task_id: int
    target: str
    bridges: tuple[Bridge, ...]


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A bridge was invited and has not come."""

    bridge: Bridge


class Invitations:
    """The OVSDB side of remote bridges; ``declined`` and ``failed`` (a StorageError) are called on native threads."""

    def __init__(
        self,
        store: TaskStore,
        rows: RemoteAttachment,
        probe: LivenessProbe,
        declined: Callable[[Declined], None],
        failed: Callable[[VtraceError], None],
    ) -> None:
        self._store = store
        self._rows = rows
        self._probe = probe
        self._declined = declined
        self._failed = failed
        self._jobs: queue.SimpleQueue[_Wanted | _Overdue | None] = queue.SimpleQueue()
        self._invited: dict[str, frozenset[BridgeId]] = {}
        self._intents: dict[str, list[Intent]] = {}
        self._target = ""
        self._thread = threading.Thread(target=self._work, name="vtrace-invitations", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def want(self, task_id: int, target: str, bridges: Sequence[Bridge]) -> None:
        """Have these bridges dial ``target`` on behalf of a task, and no others."""
        self._jobs.put(_Wanted(task_id, target, tuple(bridges)))

    def take_back(self) -> None:
        """Have no bridge dial us."""
        self._jobs.put(_Wanted(0, "", ()))

    def overdue(self, bridge: Bridge) -> None:
        """Find out why an invited bridge does not come."""
        self._jobs.put(_Overdue(bridge))

    def close(self) -> None:
        """Take every row back, then end the thread."""
        self.take_back()
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if isinstance(job, _Overdue):
                    self._declined(Declined(job.bridge.id, self._why_not_here(job.bridge)))
                else:
                    self._adjust(job)
        except VtraceError as error:
            self._failed(error)

    def _why_not_here(self, bridge: Bridge) -> str:
        return self._probe(bridge) or (
            f"{bridge.id}: it does not dial {self._target}; check that its server can reach that (route, firewall)"
        )

    def _adjust(self, wanted: _Wanted) -> None:
        if wanted.bridges:
            self._target = wanted.target
        servers: dict[str, set[BridgeId]] = {}
        for bridge in wanted.bridges:
            if isinstance(bridge.attachment, ServiceController):
                servers.setdefault(bridge.attachment.ovsdb, set()).add(bridge.id)
        missing = {ovsdb: bridges - self._here(ovsdb) for ovsdb, bridges in servers.items()}
        self._write_intents(wanted, missing)
        jobs = [
            (ovsdb, missing.get(ovsdb, set()), servers.get(ovsdb, set()))
            for ovsdb in {**servers, **self._intents}
            if ovsdb not in servers or self._here(ovsdb) ^ servers[ovsdb]
        ]
        if jobs:
            with ThreadPoolExecutor(min(len(jobs), MAX_PARALLEL_SERVERS), thread_name_prefix="vtrace-rows") as pool:
                undone = [intent.id for closed in pool.map(lambda job: self._change(*job), jobs) for intent in closed]
            if undone:
                self._store.intents_undone(undone, time())

    def _here(self, ovsdb: str) -> frozenset[BridgeId]:
        return self._invited.get(ovsdb, frozenset())

    def _write_intents(self, wanted: _Wanted, missing: Mapping[str, Collection[BridgeId]]) -> None:
        drafts = [
            IntentDraft(wanted.task_id, IntentKind.CONTROLLER_ROW, str(bridge), ovsdb, wanted.target)
            for ovsdb, bridges in missing.items()
            for bridge in sorted(bridges)
        ]
        for intent in self._store.write_intents(drafts, time()) if drafts else ():
            self._intents.setdefault(intent.ovsdb, []).append(intent)

    def _change(self, ovsdb: str, missing: Collection[BridgeId], wanted: Collection[BridgeId]) -> list[Intent]:
        """Bring the rows of one server in line; the intents that are closed by it."""
        if missing:
            self._attach(ovsdb, missing)
        if not wanted:
            return self._detach(ovsdb, frozenset())
        staying = self._here(ovsdb).intersection(wanted)
        return self._detach(ovsdb, staying) if staying != self._here(ovsdb) else []

    def _attach(self, ovsdb: str, bridges: Collection[BridgeId]) -> None:
        try:
            self._rows.attach(ovsdb, sorted(bridge.name for bridge in bridges), self._target)
        except OvsdbError as error:
            for bridge in bridges:
                self._declined(Declined(bridge, f"{bridge}: {error}"))
        else:
            self._invited[ovsdb] = self._here(ovsdb).union(bridges)

    def _detach(self, ovsdb: str, staying: frozenset[BridgeId]) -> list[Intent]:
        """Take our rows back, but of these bridges; of a server that does not answer, `vtrace clean` has work."""
        leaving = sorted(bridge.name for bridge in self._here(ovsdb) - staying)
        try:
            self._rows.detach(ovsdb, self._target, leaving if staying else None)
        except OvsdbError:
            return []
        self._invited[ovsdb] = staying
        names = {str(bridge) for bridge in staying}
        known = self._intents.pop(ovsdb, [])
        if staying:
            self._intents[ovsdb] = [intent for intent in known if intent.target in names]
        return [intent for intent in known if intent.target not in names]
