"""What a session knows of each running task: its stage, its packets, and what was decided about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from vtrace_ovs.diagnosis.causes import OF_NO_CONNECTION
from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.flow import BridgeTables, MeterCounters
from vtrace_ovs.model.packet import IPAddress, NeighbourQuestion
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.task import IntentDraft, Task, TaskState
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.session.alternation import Alternation
from vtrace_ovs.session.bridge_counts import BridgeCounts
from vtrace_ovs.session.collecting import PacketGroup
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.datagrams import Datagrams
from vtrace_ovs.session.journal import Journal
from vtrace_ovs.session.observing import Observation
from vtrace_ovs.session.overlaps import HeldCopies
from vtrace_ovs.session.questions import Questions
from vtrace_ovs.session.searching import Searches
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.suspecting import Suspicions
from vtrace_ovs.walker.network import Network

MOST_UNCLAIMED = 1024
"""So many packets nobody was seen to color are remembered; their first copy may still come."""


class Stage(Enum):
    """WAITING: for the inventory, and the bridges where its packets enter. ARMING: flows on their way.

    COLLECTING: coloring. CLOSING: coloring ends, late packets are judged. DRAINING: nothing is colored any more, but
    packets may be in flight. REMOVING: the last flows are on their way out. OBSERVING: servers are asked what the trace
    cost them. ENDED.
    """

    WAITING = "waiting"
    ARMING = "arming"
    COLLECTING = "collecting"
    CLOSING = "closing"
    DRAINING = "draining"
    REMOVING = "removing"
    OBSERVING = "observing"
    ENDED = "ended"


@dataclass(slots=True)
class TaskRun:
    """One task while it runs.

    ``armed_traffic`` is what the data plane is to know of it, as the inventory was when arming began; ``judged_by``
    the newest flow tables its packets are judged by, ``journal`` the older ones; ``meters_before`` and
    ``counts_before`` what meters, flows and ports had counted, and ``copies_before`` which copies had come, when it
    was armed.
    ``scope`` are the VFDs its packets may come to, ``armed_on`` those of them that were armed for it, and since when;
    ``intended`` the intents that name it, by bridge.
    ``promised_until`` is the deadline its flows are told (they expire a margin later), fixed when its transition
    begins. ``newest`` is the last copy of a packet that entered. ``looked_back`` tells that bridges were asked a last
    time. ``open`` are the groups with an undecided packet; ``concluded`` tells that the final result has everything;
    ``unclaimed`` names the groups of which no copy shows the packet being colored, and ``forgotten`` counts those given
    up for want of room; ``aliased`` tells that ``armed_traffic`` names its aliases, ``touched`` that a copy came since
    it last went on.
    ``called_at`` is when it was found out where its packets enter, and these VFDs were called.
    ``request_ended_at`` is when the task whose replies these are was found to have ended. ``faults`` are errors of
    this tool's own that are not logged yet. ``partners`` are the slots under which packets of this task may travel
    besides its own, as other tasks' filters overlap; ``held`` are their copies until one shows that the packet is
    this task's too. A task whose packets are counted, not copied, has an ``alternation``. ``resting`` tells that it
    does not color now, as copies came too fast (``turns``).
    """

    task: Task
    slot: int
    stage: Stage = Stage.WAITING
    armed_traffic: ArmedTask | None = None
    scope: frozenset[BridgeId] = frozenset()
    intended: dict[BridgeId, set[IntentDraft]] = field(default_factory=dict)
    armed_on: Mapping[BridgeId, float] = field(default_factory=dict)
    groups: dict[str, PacketGroup] = field(default_factory=dict)
    open: dict[str, PacketGroup] = field(default_factory=dict)
    packets: int = 0
    network: Network | None = None
    judged_by: Mapping[BridgeId, BridgeTables] = field(default_factory=dict)
    journal: Journal = field(default_factory=Journal)
    meters_before: Mapping[BridgeId, Mapping[int, MeterCounters]] = field(default_factory=dict)
    counts_before: Mapping[BridgeId, BridgeCounts] = field(default_factory=dict)
    copies_before: Mapping[BridgeId, CopyTally] = field(default_factory=dict)
    scene: Scene | None = None
    calm_scene: Scene | None = None
    scene_version: int = -1
    fleet_version: int = -1
    promised_until: float = 0.0
    claimed_at: float = 0.0
    called_at: float | None = None
    armed_at: float = 0.0
    drained_at: float = 0.0
    looked_back: bool = False
    observe_until: float = 0.0
    sequence: int = 0
    newest: PacketInRecord | None = None
    extra_packets: int = 0
    notes: list[str] = field(default_factory=list)
    cancelled: bool = False
    failure: str | None = None
    invalidated: str | None = None
    faults: list[Exception] = field(default_factory=list)
    touched: bool = False
    overflowed: int = 0
    partners: set[int] = field(default_factory=set)
    held: HeldCopies = field(default_factory=HeldCopies)
    resting: bool = False
    closed_at: float | None = None
    result: TaskResult | None = None
    saved_at: float = 0.0
    dirty: bool = False
    concluded: bool = False
    unclaimed: dict[str, None] = field(default_factory=dict)
    forgotten: int = 0
    aliased: bool = False
    request_ended_at: float | None = None
    observation: Observation = field(default_factory=Observation)
    questions: dict[IPAddress, Questions] = field(default_factory=dict)
    suspicions: Suspicions = field(default_factory=Suspicions)
    searches: Searches = field(default_factory=Searches)
    datagrams: Datagrams = field(init=False)
    alternation: Alternation | None = None

    def __post_init__(self) -> None:
        request = self.task.request
        self.datagrams = Datagrams(request.filter)
        if request.interval is not None:
            self.alternation = Alternation(self.task.id, float(request.interval))

    @property
    def traffic(self) -> ArmedTask:
        """Its traffic; known from arming on."""
        if self.armed_traffic is None:
            raise ValueError(f"task {self.task.id} is not being armed yet")
        return self.armed_traffic

    @property
    def places(self) -> frozenset[BridgeId]:
        """The VFDs it needs: where its packets enter, and where they may come as far as that is known."""
        entries = () if self.armed_traffic is None else self.armed_traffic.sources
        return self.scope.union(source.bridge for source in entries)

    @property
    def gathering(self) -> bool:
        """Whether it takes more packets."""
        return self.stage in (Stage.ARMING, Stage.COLLECTING)

    @property
    def coloring(self) -> bool:
        """Whether its packets are to be colored now."""
        return self.gathering and not self.resting

    @property
    def only_waits(self) -> bool:
        """Whether it waits for packets, and nothing of it is about to happen as time passes."""
        return self.stage is Stage.COLLECTING and not (self.open or self.resting or self.alternation is not None)

    @property
    def instrumented(self) -> bool:
        """Whether VFDs must know its packets."""
        return self.stage in (Stage.ARMING, Stage.COLLECTING, Stage.CLOSING, Stage.DRAINING)

    @property
    def judged(self) -> bool:
        """Whether it is armed everywhere, so that its packets are judged."""
        return self.instrumented and self.stage is not Stage.ARMING

    @property
    def deadline(self) -> float:
        """When coloring ends at the latest; not known before it is armed."""
        return self.armed_at + self.task.request.trace_time

    @property
    def undecided(self) -> bool:
        """Whether some packet's fate is still open; of packets nobody was seen to color none is."""
        return bool(self.open)

    @property
    def full(self) -> bool:
        """Whether as many packets are traced as were asked for."""
        return self.packets >= self.task.request.packet_count

    def keep(self, record: PacketInRecord, at: float, *, enters: bool, late: bool = False) -> bool:
        """Put a record to those of its packet; False when it is of a packet beyond the number asked for.

        Of packets that look the same all records are kept, or they could not be told apart, unless there are too many.
        ``enters``: a packet of this task comes in; ``late``: after its coloring ended, so that only another colored it.
        """
        group = self.groups.get(record.packet_id)
        new = group is None or not group.colored
        beyond = enters and (late or (self.full and (group is None or new or group.entered > 0)))
        if beyond and not late:
            self.extra_packets, self.concluded = self.extra_packets + 1, False
        if new and (self.full or late):
            self._forget(record.packet_id)
            return False
        if group is None:
            group = self.groups[record.packet_id] = PacketGroup(at)
        self.packets -= group.packets
        first_left_out = not group.crowded
        kept = group.add(record, at, enters=enters, beyond=beyond)
        self.packets += group.packets
        if kept:
            self.sequence += 1
            self.newest = record if enters else self.newest
        elif first_left_out:
            self.scene, self.concluded = None, False
        if group.undecided and group.colored:  # others count for nothing, and a tenant may forge any number of marks
            self.open[record.packet_id] = group
        self._claim(record.packet_id, group)
        return kept

    @property
    def crowded(self) -> frozenset[str]:
        """The packet_ids of which records were left out."""
        return frozenset(name for name, group in self.groups.items() if group.crowded)

    def _claim(self, name: str, group: PacketGroup) -> None:
        """Note whether a packet was seen to be colored. Forged marks fill no memory and take nobody's place."""
        if group.colored:
            self.unclaimed.pop(name, None)
            return
        self.unclaimed[name] = None
        if len(self.unclaimed) > MOST_UNCLAIMED:
            self._forget(next(iter(self.unclaimed)))
            self.forgotten += 1

    def _forget(self, name: str) -> None:
        self.groups.pop(name, None)
        self.open.pop(name, None)
        self.unclaimed.pop(name, None)

    @property
    def decisions(self) -> tuple[DiagnosedPacket, ...]:
        """Everything decided so far, in the order packets were first seen.

        A packet nobody was seen to color is left out: anybody can send marks from a port that is not traced.
        """
        return tuple(packet for packet in self._decided() if not _uncolored(packet))

    @property
    def unconnected(self) -> bool:
        """Whether a packet was lost that belongs to no connection, as it may where no more are tracked."""
        return any(packet.verdict.code in OF_NO_CONNECTION for packet in self._decided())

    @property
    def uncolored(self) -> int:
        """How many packets, at least, are left out because nobody was seen to color them.

        While more are colored, that copy may still be on its way.
        """
        unclaimed = () if self.gathering else self.unclaimed
        seen = (max(self.groups[name].taken.values()) for name in unclaimed)
        return sum(map(_uncolored, self._decided())) + sum(seen) + self.forgotten

    def _decided(self) -> Iterator[DiagnosedPacket]:
        for group in sorted(self.groups.values(), key=lambda group: group.first_at):
            yield from (group.decisions[number] for number in sorted(group.decisions))

    @property
    def final_state(self) -> TaskState:
        """What the task ends as."""
        if self.failure is not None:
            return TaskState.FAILED
        if self.cancelled:
            return TaskState.CANCELLED
        return TaskState.DONE if self.invalidated is None else TaskState.INVALIDATED

    def invalidate(self, reason: str) -> None:
        """Somebody took part of the instrumentation away: what was seen stands, what was not proves nothing."""
        self.invalidated = self.invalidated or reason
        self.note(reason)

    def hear(self, question: NeighbourQuestion, at: float) -> None:
        """A sender of the traced ports asks for a neighbour."""
        traffic = self.task.request.filter
        if traffic.source is None or question.asker in traffic.source:
            self.questions.setdefault(question.target, Questions()).add(at)

    @property
    def unanswered(self) -> dict[IPAddress, int]:
        """The addresses asked for in vain, and how often they were."""
        return {target: asked.times for target, asked in self.questions.items() if asked.unanswered}

    def search(self, topology: Topology, at: float, settings: SessionSettings) -> tuple[Command, ...]:
        """Look for who drops packets of this task, if some were lost: in the datapaths first, then in the underlay.

        What is put into underlay bridges has datapaths computed anew, so that nothing can be found there any more.
        """
        if self.stage is Stage.COLLECTING and self.newest is not None:
            self.suspicions.doubt(self.newest, at)
        asked = self.suspicions.begin(self.task.id, topology, at, settings.datapath_deadline)
        if asked or self.suspicions.awaits(at):
            return asked
        return self.searches.begin(self.task.id, self.traffic, topology, at, settings.search_time)

    def searching(self, at: float) -> bool:
        """Whether what may be found is still worth waiting for."""
        return self.suspicions.awaits(at) or self.searches.awaits(at)

    def note(self, sentence: str | None) -> None:
        """Remember something the result must mention, once; None is nothing."""
        if sentence is not None and sentence not in self.notes:
            self.notes.append(sentence)


def _uncolored(packet: DiagnosedPacket) -> bool:
    """Whether no copy shows that the packet was colored."""
    hops = packet.observed.hops
    return not hops or hops[0].inferred or hops[0].dscp_mark != 1
