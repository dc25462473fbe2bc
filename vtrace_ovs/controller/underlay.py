"""Turns "who drops this in the underlay" into post-cards: copies of what underlay bridges drop, for a few seconds.

On native threads with connections of their own, off the way of everything else. Remote bridges dial a port of their own
too, any free one: that of ``--listen`` is for the bridges that tasks need. Intents come before the first change; what
is installed goes when the search is over, and by itself soon after if we die; Controller rows by the next start.
"""

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import ceil
from time import monotonic, time

from vtrace_ovs.codecs.encapsulated_frames import Encapsulated, encapsulated
from vtrace_ovs.controller.dialogue import Dialogue, dial
from vtrace_ovs.controller.remote_dialogues import visit
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.errors import VtraceError
from vtrace_ovs.filters.matching import accepts
from vtrace_ovs.instrumentation.changes import wipe
from vtrace_ovs.instrumentation.plan import Probe
from vtrace_ovs.instrumentation.postcards import Watch, watch
from vtrace_ovs.instrumentation.probes import UserData
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.flow import PortDescription
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.postcard import DownPort, Passage, Postcard, Segment
from vtrace_ovs.model.task import IntentDraft, IntentKind
from vtrace_ovs.model.topology import Bridge, ManagementSocket, ServiceController
from vtrace_ovs.session.boundary import RemoteAttachment, TaskStore
from vtrace_ovs.session.commands import SearchUnderlay
from vtrace_ovs.session.events import CountersRead, UnderlaySearched

LISTEN_INTERVAL = 0.1
LIFETIME_MARGIN = 10
MOST_PARALLEL = 64
LONG_ENOUGH = 1.0
"""Seconds after which counters of flows say something: the revalidators bring them up to date, twice in that time."""


@dataclass(slots=True)
class Tally:
    """Packets of one task that were dropped at one place."""

    packets: int = 0
    five_tuples: set[FiveTuple] = field(default_factory=set)


_Tallies = defaultdict[tuple[int, Segment, Probe], Tally]


@dataclass(slots=True)
class Search:
    """Searches that go on at once, until a moment (monotonic seconds) or until each has a post-card.

    ``found`` are those that have one; ``down`` the ports of the bridges that cannot send, ``passed`` what came to them.
    """

    commands: Sequence[SearchUnderlay]
    until: float
    found: set[int] = field(default_factory=set)
    down: list[DownPort] = field(default_factory=list)
    passed: list[Passage] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return monotonic() > self.until or len(self.found) == len(self.commands)

    @property
    def ends(self) -> tuple[tuple[Segment, ...], ...]:
        """The segments of each."""
        return tuple(command.segments for command in self.commands)

    def owners(self, inside: Encapsulated, segment: Segment) -> list[int]:
        """The tasks, by their place here, whose traffic this is."""
        return [
            number
            for number, command in enumerate(self.commands)
            if segment in command.segments and any(accepts(one, inside.headers) for one in command.filters)
        ]


class UnderlaySearcher:
    """``post`` takes an event from any thread. Searches that are asked for meanwhile go on together afterwards."""

    def __init__(
        self,
        settings: ControllerSettings,
        store: TaskStore,
        remote: RemoteAttachment,
        post: Callable[[UnderlaySearched], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._remote = remote
        self._post = post
        self._jobs: queue.SimpleQueue[SearchUnderlay | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="vtrace-underlay", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def carry_out(self, command: SearchUnderlay) -> None:
        """Search; a verdict without post-cards is right too, so nothing fails when no bridge answers."""
        self._jobs.put(command)

    def close(self) -> None:
        """End a search that is under way, and the thread."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closing.is_set():
            self._closing.wait(LISTEN_INTERVAL)  # packets of several tasks are lost at one time
            jobs = [job]
            while not self._jobs.empty() and (another := self._jobs.get()) is not None:
                jobs.append(another)
            self._search(jobs)
            if self._closing.is_set():
                return

    def _search(self, jobs: Sequence[SearchUnderlay]) -> None:
        seconds = max(job.seconds for job in jobs)
        search = Search(jobs, monotonic() + seconds)
        bridges = {bridge.id: bridge for job in jobs for bridge in job.bridges}
        with ThreadPoolExecutor(min(len(bridges), MOST_PARALLEL), thread_name_prefix="vtrace-pfd") as pool:
            found = list(pool.map(lambda bridge: self._watch(bridge, search), bridges.values()))
        for number, job in enumerate(jobs):
            cards = (card for each in found for owner, card in each if owner == number)
            ends = {(segment.source, segment.destination) for segment in job.segments}
            passed = (one for one in search.passed if (one.source, one.destination) in ends)
            self._post(UnderlaySearched(time(), job.task_id, tuple(cards), tuple(search.down), tuple(passed)))

    def _watch(self, bridge: Bridge, search: Search) -> list[tuple[int, Postcard]]:
        """The post-cards of one bridge, each with the place of its search; none of one that cannot be watched."""
        found: list[tuple[int, Postcard]] = []

        def ask(dialogue: Dialogue) -> None:
            with suppress(OSError, VtraceError):
                found.extend(self._ask(bridge, dialogue, search))

        with suppress(OSError, VtraceError):
            self._reach(bridge, search, ask)
        return found

    def _reach(self, bridge: Bridge, search: Search, ask: Callable[[Dialogue], None]) -> None:
        """Dial a local bridge, or have a remote one dial us. Raises OSError or VtraceError."""
        left, answers, ours = search.until - monotonic(), self._settings.bridge_timeout, self._settings.controller_id
        match bridge.attachment:
            case ManagementSocket(path):
                with closing(dial(bridge, path, ours, left + answers)) as dialogue:
                    ask(dialogue)
            case ServiceController(ovsdb) if self._settings.listen is not None and left > 0:
                with self._intended(bridge, search, ovsdb, ((IntentKind.CONTROLLER_ROW, ""),)):
                    visit(
                        ovsdb,
                        [bridge],
                        address=replace(self._settings.listen, port=0),
                        remote=self._remote,
                        controller_id=ours,
                        timeout=left,
                        work=lambda _, dialogue: ask(dialogue),
                        lasts=answers,
                    )

    def _ask(self, bridge: Bridge, dialogue: Dialogue, search: Search) -> Iterator[tuple[int, Postcard]]:
        ends = {(one.source, one.destination) for segments in search.ends for one in segments}
        lifetime = ceil(max(job.seconds for job in search.commands)) + LIFETIME_MARGIN
        tables = dialogue.read().tables
        search.down += _down(bridge, tables.ports)
        plan = watch(tables, sorted(ends, key=str), self._settings.instrumentation, lifetime)
        tallies = {} if plan is None else self._cards(bridge, plan, dialogue, search)
        for (number, segment, probe), tally in tallies.items():
            yield number, _card(bridge, segment, probe, tally)

    @contextmanager
    def _intended(
        self, bridge: Bridge, search: Search, ovsdb: str, what: Sequence[tuple[IntentKind, str]]
    ) -> Iterator[None]:
        """What is to be done is in the database before it is; when it is undone without an error, it goes there too."""
        drafts = [
            IntentDraft(job.task_id, kind, str(bridge.id), ovsdb, detail)
            for job in search.commands
            for kind, detail in what
        ]
        intents = self._store.write_intents(drafts, time())
        yield
        self._store.intents_undone([intent.id for intent in intents], time())

    def _cards(self, bridge: Bridge, plan: Watch, dialogue: Dialogue, search: Search) -> _Tallies:
        meter = plan.meter.meter_id
        generation = (IntentKind.FLOWS, f"generation {self._settings.generation}")
        steps = wipe((meter,))
        tallies: _Tallies = defaultdict(Tally)
        with self._intended(bridge, search, "", (generation, (IntentKind.METER, str(meter)))):
            try:
                dialogue.program((plan.meter, *plan.flows))
                since = monotonic()
                while not search.over and not self._closing.is_set():
                    _count(dialogue, plan, search, tallies)
                if monotonic() - since > LONG_ENOUGH:
                    search.passed += _passed(bridge, plan, dialogue.read_counters())
            finally:
                dialogue.program((steps.sinks_delete, *steps.meters_delete))
        return tallies


def _count(dialogue: Dialogue, plan: Watch, search: Search, tallies: _Tallies) -> None:
    for event in dialogue.listen(LISTEN_INTERVAL):
        said = UserData.of(event.packet_in.userdata)
        probe = None if said is None else plan.probe(said.probe_id)
        inside = encapsulated(event.packet_in.frame, event.packet_in.total_length)
        if probe is None or inside is None or inside.headers.five_tuple is None:
            continue
        segment = Segment(inside.source, inside.destination, inside.vni)
        for number in search.owners(inside, segment):
            tally = tallies[number, segment, probe]
            tally.packets += 1
            tally.five_tuples.add(inside.headers.five_tuple)
            search.found.add(number)


def _passed(bridge: Bridge, plan: Watch, read: CountersRead) -> Iterator[Passage]:
    for flow in read.flows:
        ends = plan.passing.get(flow.key)
        if ends is not None:
            yield Passage(*ends, bridge.id, flow.n_packets)


def _down(bridge: Bridge, ports: Iterable[PortDescription]) -> list[DownPort]:
    return [
        DownPort(bridge.id, port.ofport, port.name, port.admin_down)
        for port in ports
        if port.ofport != OFPP_LOCAL and (port.admin_down or port.link_down)
    ]


def _card(bridge: Bridge, segment: Segment, probe: Probe, tally: Tally) -> Postcard:
    place = (bridge.id, probe.table_id, probe.flow, probe.cookie)
    return Postcard(segment, *place, tally.packets, frozenset(tally.five_tuples))
