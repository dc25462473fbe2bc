"""What a session knows of each bridge: whether it answers, its tables, and what of ours it carries."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from math import inf

from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import BridgeTables, FlowKey, MeterCounters, PortCounters
from vtrace_ovs.model.topology import Bridge, BridgeId, Topology
from vtrace_ovs.session.bridge_counts import BridgeCounts, counts_of
from vtrace_ovs.session.commands import Connect, ReadBridge
from vtrace_ovs.session.copies import CopyCount

PEEKED_FLOWS = 5000
"""So many flows are read at most, at one time, just to see whether anything changed; a verdict reads what it needs."""


ASKING_INTERVAL = 0.5
"""A bridge under load is asked for readings no more often than this (seconds): to tell its tables takes its time."""

READING_TAKES = 1.0
"""A reading may show tables as they were this long (seconds) before it came."""


@dataclass(slots=True)
class BridgeState:
    """One VFD. ``called``: a conversation with it is held or sought, as it was needed at ``needed_at`` or still is.

    ``up`` None: not known, or not called; ``carried`` is what we have installed, ``carried_since`` when anything was.

    ``planned_with`` is what ``carried`` was made from; ``tables_version`` counts changes of production's tables.
    ``tables`` are without flows of this tool; ``read_at`` and ``asked_at`` are when they last came and were
    asked for (``owes``: that answer is still to come; ``ask_again``: one is wanted that is asked for later than that;
    ``answered_in``: how long the last took), ``up_at`` when it last came up, ``closed_at`` when a connection to it was
    last lost.
    ``stranger`` is set when another run of this tool has flows there.
    ``copies`` counts those of traced packets; ``scarce_since`` is when half of our meter's burst was spent.
    ``left`` are plans of ours of which something may still be there though nothing is counted on, ``owed`` the tasks
    whose intents that keeps open. ``peeked_at`` is when it was last looked at only to see whether anything changed;
    ``wiped`` is what somebody else did to our flows, last at ``wiped_at``. In the ``spells`` (from, until) production's
    tables were not those that ours were made from; infinity while that lasts.
    """

    bridge: Bridge
    called: bool = False
    needed_at: float = 0.0
    up: bool | None = None
    dpid: int | None = None
    reason: str = ""
    tables: BridgeTables | None = None
    carried: BridgePlan | None = None
    carried_since: float = 0.0
    meters: dict[int, MeterCounters] = field(default_factory=dict)
    counts: BridgeCounts = field(default_factory=BridgeCounts)
    tables_version: int = 0
    planned_with: "PlanBasis | None" = None
    stranger: bool = False
    up_at: float = 0.0
    closed_at: float = 0.0
    copies: CopyCount = field(default_factory=CopyCount)
    scarce_since: float | None = None
    read_at: float = 0.0
    asked_at: float = 0.0
    ask_again: bool = False
    owes: bool = False
    answered_in: float = 0.0
    left: tuple[BridgePlan, ...] = ()
    owed: set[int] = field(default_factory=set)
    peeked_at: float = 0.0
    wiped_at: float = 0.0
    wiped: str = ""
    spells: tuple[tuple[float, float], ...] = ()

    @property
    def losses(self) -> tuple[object, ...]:
        """What is known of copies and of packets in queues that were lost: more of it changes verdicts."""
        return self.copies.tally.lost, self.copies.uncounted, self.counts.queue_dropped

    def hang_up(self) -> None:
        """It is not talked to any more, so whether it answers is not known."""
        self.called, self.up, self.reason = False, None, ""

    def forsake(self, *plans: BridgePlan | None) -> None:
        """Count on nothing of ours there any more, but remember what may be left."""
        self.left = (*self.left, *(plan for plan in (self.carried, *plans) if plan is not None))
        self.carried = self.planned_with = None

    def carry(self, plan: BridgePlan | None, basis: "PlanBasis | None", at: float) -> None:
        """This plan is there now, made from that."""
        self.carried_since = at if self.carried is None else self.carried_since
        self.carried, self.planned_with, self.left = plan, basis, ()
        if plan is None:
            self.copies, self.scarce_since, self.spells = CopyCount(), None, ()
        elif basis is not None and basis.tables_version == self.tables_version and self.spells:
            *before, (since, until) = self.spells
            self.spells = (*before, (since, min(until, at)))

    def took_copy(self, plan: BridgePlan, at: float) -> None:
        """A copy of a traced packet came. The meter that caps them starts full: the first ``burst`` of them pass."""
        self.copies.came += 1
        if self.scarce_since is None and self.copies.came * 2 >= plan.burst:
            self.scarce_since = at

    def adopt(
        self, tables: BridgeTables, meters: tuple[MeterCounters, ...], ports: tuple[PortCounters, ...], at: float
    ) -> frozenset[FlowKey]:
        """Take over a reading of its production tables and all counters. Tables that stayed as they were are kept.

        Returns the flows that are gone since the last reading.
        """
        removed: frozenset[FlowKey] = frozenset()
        if self.tables is None or not same_tables(self.tables, tables):
            self.tables_version += 1
            if self.carried is not None and not (self.spells and self.spells[-1][1] == inf):
                self.spells = (*self.spells, (self.read_at - READING_TAKES, inf))
            known = () if self.tables is None else self.tables.flows
            removed = frozenset(flow.key for flow in known) - {flow.key for flow in tables.flows}
            self.tables = tables
        if self.owes:
            self.answered_in = at - self.asked_at
        self.read_at, self.owes = at, False
        self.counts = counts_of(self.tables, tables, ports)
        self.meters = {counters.meter_id: counters for counters in meters}
        plans = (self.carried, *reversed(self.left))  # of a bridge that seemed to be gone, copies are counted on
        ours = next((self.meters.get(plan.meter_ids.traced) for plan in plans if plan is not None), None)
        if ours is not None:
            self.copies.read(ours.packets_in - ours.packets_dropped, at)
        return removed


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """What a plan depends on besides who still colors: while it stays, sources come and go without planning again."""

    slots: frozenset[int]
    tables_version: int
    marks: MarkPlan
    armed: frozenset[BridgeId]
    fragmented: frozenset[int]


def same_tables(before: BridgeTables, now: BridgeTables) -> bool:
    """Whether two readings would treat every packet alike; counters and the order of flows do not matter."""
    if (before.groups, before.meters, before.ports) != (now.groups, now.meters, now.ports):
        return False
    return before.flows == now.flows or frozenset(before.flows) == frozenset(now.flows)


@dataclass(slots=True)
class Fleet:
    """All VFDs of the inventory. ``version`` grows with every change a verdict may depend on."""

    topology: Topology = field(default_factory=Topology)
    problems: tuple[str, ...] = ()
    known: bool = False
    version: int = 0
    states: dict[BridgeId, BridgeState] = field(default_factory=dict)
    gone: dict[BridgeId, BridgeState] = field(default_factory=dict)
    peeked_at: float = 0.0

    def adopt(self, topology: Topology, problems: tuple[str, ...]) -> None:
        """Take over a newly read inventory, keeping what is known of bridges that are still there.

        What an inventory no longer names may still carry flows of ours: it is remembered until it is named again.
        """
        self.topology, self.problems, self.known = topology, problems, True
        self.version += 1
        kept = {**self.gone, **self.states}
        self.states = {}
        for bridge in topology.vfds():
            state = kept.pop(bridge.id, None) or BridgeState(bridge)
            state.bridge = bridge
            self.states[bridge.id] = state
        self.gone = {bridge_id: state for bridge_id, state in kept.items() if state.left}

    def call(self, bridges: Collection[BridgeId], at: float) -> tuple[Connect, ...]:
        """These bridges are needed now: whoever of them is not called is from now on."""
        needed = [(bridge, state) for bridge, state in self.states.items() if bridge in bridges]
        fresh = tuple(bridge for bridge, state in needed if not state.called)
        for _, state in needed:
            state.called, state.needed_at = True, at
        return (Connect(fresh),) if fresh else ()

    def awaits(self, bridges: Iterable[BridgeId]) -> bool:
        """Whether of one of these bridges it is not known yet if it answers."""
        return any(bridge in self.states and self.states[bridge].up is None for bridge in bridges)

    def hopeful(self) -> tuple[BridgeId, ...]:
        """The bridges that answer, or may if they are called."""
        return tuple(bridge_id for bridge_id, state in self.states.items() if state.up is not False)

    def live(self) -> tuple[BridgeId, ...]:
        """The bridges that answer."""
        return tuple(bridge_id for bridge_id, state in self.states.items() if state.up)

    def carrying(self) -> tuple[BridgeId, ...]:
        """The bridges that answer and have flows of ours."""
        return tuple(b for b, state in self.states.items() if state.up and state.carried is not None)

    def armable(self) -> frozenset[BridgeId]:
        """The bridges that answer and whose tables are known: only they can take marks off."""
        return frozenset(b for b, state in self.states.items() if state.up and state.tables is not None)

    def ask(self, bridges: Iterable[BridgeId], at: float) -> tuple[ReadBridge, ...]:
        """Ask these bridges for a reading from now on, or soon: questions shortly after another have one answer."""
        for bridge in bridges:
            self.states[bridge].ask_again = True
        return self.ask_now(at)

    def ask_now(self, at: float) -> tuple[ReadBridge, ...]:
        """Ask those that are to be asked, owe no answer, and have not just been asked: to answer takes their time."""
        due = [
            state
            for state in self.states.values()
            if state.ask_again and not state.owes and at - state.asked_at >= ASKING_INTERVAL
        ]
        for state in due:
            state.ask_again, state.asked_at, state.owes = False, at, True
        return tuple(ReadBridge(state.bridge.id) for state in due)

    def peek(self, at: float, interval: float) -> tuple[ReadBridge, ...]:
        """Look at bridges of ours nobody has looked at for so long, those first that have waited longest.

        Never at more flows at a time than are no burden: of many bridges, each has its turn now and then.
        """
        if at - self.peeked_at < interval:
            return ()
        self.peeked_at = at
        room, looks = PEEKED_FLOWS, []
        for state in sorted(self.states.values(), key=_looked_at):
            flows = 0 if state.tables is None else len(state.tables.flows)
            if state.up and state.carried is not None and flows <= room and at - _looked_at(state) >= interval:
                room -= flows
                state.peeked_at = at
                looks.append(ReadBridge(state.bridge.id))
        return tuple(looks)

    def silent(self, at: float, patience: Callable[[BridgeId], float]) -> tuple[BridgeId, ...]:
        """The bridges that have owed an answer to ``ask`` for longer (seconds) than there is patience with them."""
        return tuple(
            bridge_id
            for bridge_id, state in self.states.items()
            if state.up and state.owes and state.asked_at <= at - patience(bridge_id)
        )

    @property
    def owing(self) -> bool:
        """Whether a bridge that answers has not yet answered ``ask``."""
        return any(state.up and (state.owes or state.ask_again) for state in self.states.values())

    def copies_scarce(self, at: float) -> bool:
        """Whether a packet that entered then may have had copies capped: some meter of ours was half spent already.

        Copies of earlier packets are spent first, so those of a packet that entered before were all let through. Where
        copies were lost, it is not known when that was.
        """
        return any(
            state.copies.tally.lost or state.copies.uncounted or (state.scarce_since or inf) <= at
            for state in self.states.values()
        )

    def unreachable(self) -> dict[BridgeId, str]:
        """The bridges that do not answer, with the reason."""
        return {bridge_id: state.reason for bridge_id, state in self.states.items() if state.up is False}

    def counts(self) -> dict[BridgeId, BridgeCounts]:
        """What the flows and ports of every bridge whose tables are known had counted when it was last read."""
        return {bridge_id: state.counts for bridge_id, state in self.states.items() if state.tables is not None}

    def tables(self) -> dict[BridgeId, BridgeTables]:
        """The tables of every bridge whose tables are known."""
        return {bridge_id: state.tables for bridge_id, state in self.states.items() if state.tables is not None}


def _looked_at(state: BridgeState) -> float:
    return max(state.read_at, state.asked_at, state.peeked_at)
