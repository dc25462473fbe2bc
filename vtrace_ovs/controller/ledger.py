"""Turns a session's save commands into database transactions, and new rows into events, on one native thread."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from time import monotonic, time
from typing import assert_never

from vtrace_ovs.model.task import Intent, TaskState
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.session.boundary import TaskStore, Writings
from vtrace_ovs.session.commands import (
    EraseIntents,
    SaveCounts,
    SaveRecords,
    SaveResult,
    SaveSamples,
    SaveSnapshot,
    SaveTaskState,
    SaveTrajectories,
    WriteIntents,
)
from vtrace_ovs.session.events import CancelRequested, Event, IntentsWritten, TaskClaimed

LedgerCommand = (
    SaveTaskState
    | SaveSnapshot
    | SaveRecords
    | SaveSamples
    | SaveTrajectories
    | SaveResult
    | SaveCounts
    | WriteIntents
    | EraseIntents
)

PAUSE = 0.005
"""Seconds in which no other news is passed on after one: of much that is written in a row a query now and then."""
POLL_INTERVAL = 0.25
"""Seconds between queries when nobody told that anything was written, or nobody can."""


class Wake(Enum):
    """Why the thread is woken though there is nothing to store."""

    WRITTEN = "somebody has written to the database"
    CLOSING = "the ledger is to end"


def merged(jobs: Sequence[LedgerCommand]) -> Iterator[LedgerCommand]:
    """The same jobs in the same order, with neighbouring record batches made one: a flood costs few transactions."""
    for together, run in groupby(jobs, key=lambda job: isinstance(job, SaveRecords)):
        if together:
            yield SaveRecords(tuple(record for job in run if isinstance(job, SaveRecords) for record in job.records))
        else:
            yield from run


class Ledger:
    """The database side of a controller.

    Commands are carried out in order, but snapshots wait until nothing else is to be done: tables are long, and a
    verdict must not wait for them. They are all stored before their task ends. ``post`` takes events to the session;
    ``failed`` gets the error that ended the thread.
    """

    def __init__(
        self,
        store: TaskStore,
        post: Callable[[Event], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._post = post
        self._failed = failed
        self._jobs: queue.SimpleQueue[LedgerCommand | Wake] = queue.SimpleQueue()
        self._snapshots: deque[SaveSnapshot] = deque()
        self._intents: dict[tuple[str, int], list[Intent]] = {}
        self._running: set[int] = set()
        self._accepting = threading.Event()
        self._closing = threading.Event()
        self._told = False
        self._polled_at = 0.0
        self._thread = threading.Thread(target=self._work, name="vtrace-ledger", daemon=True)
        self._writings: Writings | None = None
        self._listener: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and one that waits for what others write, where they can be waited for."""
        self._writings = self._store.writings()
        if self._writings is not None:
            self._listener = threading.Thread(
                target=self._listen, args=(self._writings,), name="vtrace-writings", daemon=True
            )
            self._listener.start()
        self._thread.start()

    def accept_tasks(self) -> None:
        """From now on take new tasks from the database: the analyser is ready (the paper's start-up handshake)."""
        self._accepting.set()
        self._jobs.put(Wake.WRITTEN)

    def refuse_tasks(self) -> None:
        """Leave new tasks in the database: this controller is about to end."""
        self._accepting.clear()

    def follow(self, task_id: int) -> None:
        """Watch a task that came another way for a request to cancel it."""
        self._running.add(task_id)

    def put(self, command: LedgerCommand) -> None:
        """Queue one command."""
        self._jobs.put(command)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        self._closing.set()
        self._jobs.put(Wake.CLOSING)
        if self._writings is not None:
            self._writings.close()
            self._writings = None
        if self._listener is not None:
            self._listener.join()
        self._thread.join()

    def save_inventory(self, topology: Topology) -> None:
        """Keep the VFDs of an inventory. Called from the inventory's own thread, which may block."""
        self._store.save_vfds(topology.vfds())

    def _listen(self, writings: Writings) -> None:
        """Pass on what is told, of much that is written in a row a little."""
        while writings.wait():
            self._jobs.put(Wake.WRITTEN)
            self._closing.wait(PAUSE)

    def _work(self) -> None:
        try:
            while not (self._closing.is_set() and self._jobs.empty() and not self._snapshots):
                for job in merged(self._waiting_jobs()):
                    self._carry_out(job)
                if self._snapshots and self._jobs.empty():
                    self._save_snapshot(self._snapshots.popleft())
                if not self._closing.is_set() and self._news():
                    self._poll()
        except Exception as error:  # noqa: BLE001 - a ledger that stops silently would lose what was traced
            self._failed(error)

    def _waiting_jobs(self) -> list[LedgerCommand]:
        """What is to be stored, once there is something, or it is time to look for news."""
        found: list[LedgerCommand | Wake] = []
        try:
            found.append(self._jobs.get(timeout=self._rest()))
            while True:
                found.append(self._jobs.get_nowait())
        except queue.Empty:
            pass
        self._told |= Wake.WRITTEN in found
        return [job for job in found if not isinstance(job, Wake)]

    def _rest(self) -> float:
        """For how long (seconds) there is nothing to do unless somebody says so."""
        return 0.0 if self._snapshots else max(self._polled_at + POLL_INTERVAL - monotonic(), 0.0)

    def _news(self) -> bool:
        """Whether the database is to be asked: somebody has written to it since, or may have."""
        now = monotonic()
        if not self._told and now < self._polled_at + POLL_INTERVAL:
            return False
        self._told, self._polled_at = False, now
        return True

    def _poll(self) -> None:
        if not self._store.requests_wait():
            return
        for task in self._store.claim_new_tasks() if self._accepting.is_set() else ():
            self._running.add(task.id)
            self._post(TaskClaimed(time(), task))
        for task_id in tuple(self._running):
            row = self._store.task(task_id)
            if row is not None and row.cancel_requested:
                self._running.discard(task_id)
                self._post(CancelRequested(time(), task_id))

    def _carry_out(self, job: LedgerCommand) -> None:
        match job:
            case SaveTaskState(task_id, state, at, reason, slot):
                self._save_state(task_id, state, at, reason, slot)
            case SaveSnapshot():
                self._snapshots.append(job)
            case SaveRecords(records):
                self._store.save_records(records)
            case SaveSamples(samples):
                self._store.save_samples(samples)
            case SaveTrajectories(task_id, trajectories):
                self._store.save_trajectories(task_id, trajectories)
            case SaveResult(result, _):
                self._store.save_result(result.task_id, result)
            case SaveCounts(report):
                self._store.save_counts(report)
            case WriteIntents(batch, _):
                self._write_intents(job)
                self._post(IntentsWritten(time(), batch))
            case EraseIntents(bridge, task_ids):
                self._erase_intents(bridge, task_ids)
            case _:
                assert_never(job)

    def _save_state(self, task_id: int, state: TaskState, at: float, reason: str | None, slot: int | None) -> None:
        if state.final:
            self._running.discard(task_id)
            while self._snapshots:
                self._save_snapshot(self._snapshots.popleft())
        self._store.set_state(task_id, state, at, reason=reason, slot=slot)

    def _save_snapshot(self, job: SaveSnapshot) -> None:
        self._store.save_snapshot(job.task_id, job.bridge, job.tables)

    def _write_intents(self, job: WriteIntents) -> None:
        for intent in self._store.write_intents(job.intents, time()):
            self._intents.setdefault((intent.target, intent.task_id), []).append(intent)

    def _erase_intents(self, bridge: BridgeId, task_ids: tuple[int, ...]) -> None:
        undone = [intent.id for task_id in task_ids for intent in self._intents.pop((str(bridge), task_id), [])]
        if undone:
            self._store.intents_undone(undone, time())
