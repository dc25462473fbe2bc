"""Counting by two colors, against bridges that answer at once and count what they are told to."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from math import inf

import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, Gate, Scene, Settings, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.model.actions import ApplyActions, Output, SetField
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod, MeterCounters
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import TUN_DST
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.alternation import Alternation, Step
from vtrace_ovs.session.alternator import Alternator, require_company
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.commands import Command, Program, ReadCounters
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import CountersRead, Programmed
from vtrace_ovs.session.planning import Planning
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.settings import SessionSettings

A, B = BridgeId("s1", "br0"), BridgeId("s2", "br0")
PORTS = (Port(1, "vm", PortKind.EDGE), Port(2, "vx", PortKind.TUNNEL))
VTEPS = {"s1": IPv4Address("192.0.2.1"), "s2": IPv4Address("192.0.2.2")}
TOPOLOGY = Topology(
    tuple(Node(node, "", (vtep,)) for node, vtep in VTEPS.items()),
    tuple(Bridge(bridge, 1, BridgeRole.VSWITCH, PORTS, ManagementSocket("")) for bridge in (A, B)),
)
TRAFFIC = Filter("udp", 17, source=IPv4Network("10.0.0.1/32"))
SETTINGS = Settings(controller_id=7, generation=1)
TO_B = SetField(TUN_DST, int(VTEPS["s2"]), TUN_DST.full_mask)
FLOWS = {
    A: (Flow(0, 5, Match(), (ApplyActions((TO_B, Output(2))),)),),
    B: (Flow(0, 5, Match(), (ApplyActions((Output(1),)),)),),
}


@dataclass
class World:
    """Two armed bridges and a clock. ``counts``: packets by bridge, gate and color; B's are also by tunnel."""

    fleet: Fleet = field(default_factory=Fleet)
    alternation: Alternation = field(default_factory=lambda: Alternation(1, 1.0))
    counts: dict[tuple[BridgeId, Gate, int], int] = field(default_factory=dict)
    at: float = 100.0
    color: int = 0
    turns: list[float] = field(default_factory=list)
    silent: set[BridgeId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fleet.adopt(TOPOLOGY, ())
        scene = Scene(TOPOLOGY, frozenset({A, B}), MarkPlan.counting())
        task = ArmedTask(0, TRAFFIC, (SourcePorts(A, frozenset({1})),), 20, self.at + 60, lease=16.0)
        for bridge, state in self.fleet.states.items():
            state.up, state.tables = True, BridgeTables(1, 0.0, FLOWS[bridge])
            state.carried = plan_bridge(state.bridge, state.tables, (task,), scene, settings=SETTINGS, now=self.at)
        self.deployment = Deployment(self.fleet, Planning(self.fleet, SETTINGS), 5.0, 30.0, 0.2)
        self.alternator = Alternator(self.fleet, self.deployment, SessionSettings(), lambda _: GENERIC_PROFILE)
        self.run = TaskRun(Task(1, TraceRequest(TRAFFIC, interval=1), TaskState.ARMED, 0.0), 0, Stage.COLLECTING)
        self.run.alternation = self.alternation
        self.answer(self.alternator.begin(self.alternation, self.at))

    def send(self, packets: int, *, arrive: int | None = None, color: int | None = None) -> None:
        """So many packets of the color of the moment from A to B, of which some do not arrive."""
        color = self.color if color is None else color
        there = packets if arrive is None else arrive
        for bridge, gate, more in ((A, Gate.CAME, packets), (A, Gate.SENT, packets), (B, Gate.CAME, there)):
            self.counts[bridge, gate, color] = self.counts.get((bridge, gate, color), 0) + more
        self.counts[B, Gate.ENDED, color] = self.counts.get((B, Gate.ENDED, color), 0) + there

    def answer(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if isinstance(command, Program) and command.bridge not in self.silent:
                self.turned(command)
                self.alternator.told(Programmed(self.at, command.bridge, command.batch), (self.run,))
            elif isinstance(command, ReadCounters) and command.bridge not in self.silent:
                self.alternator.told(self.counters(command.bridge), (self.run,))

    def turned(self, program: Program) -> None:
        plan = self.fleet.states[program.bridge].carried
        assert plan is not None
        if program.mods:
            flows = [mod for mod in program.mods if isinstance(mod, FlowMod)]
            instructions = [mod.instructions for mod in flows]
            self.color = int(instructions != [mod.instructions for mod in plan.sources])
            assert {mod.hard_timeout for mod in flows} == {16}
            self.turns.append(self.at)

    def counters(self, bridge: BridgeId) -> CountersRead:
        plan = self.fleet.states[bridge].carried
        assert plan is not None
        places = self.alternator._places_of(self.fleet.states[bridge])  # noqa: SLF001 - to count by flows as the bridge would
        flows = []
        for mod in (*plan.sinks, *plan.sources):
            place = next(iter(places.get(mod.key, ())), None)
            gate = {"arrived": Gate.CAME, "marked": Gate.SENT}.get("" if place is None else place.kind.value)
            there = {Gate.CAME: B, Gate.SENT: A}.get(gate) if gate is not None else None
            packets = 0
            if place is not None and gate is not None and place.segment is not None and bridge == there:
                packets = self.counts.get((bridge, gate, place.color), 0)
            flows.append(Flow(mod.table_id, mod.priority, mod.match, mod.instructions, mod.cookie, n_packets=packets))
        meters = tuple(
            MeterCounters(plan.meter_ids.counting(gate, color), self.counts.get((bridge, gate, color), 0), 0)
            for gate in Gate
            for color in (0, 1)
        )
        return CountersRead(self.at, bridge, tuple(flows), meters)

    def until(self, at: float, *, over: bool = False) -> None:
        """Let time pass, in the steps of the controller's clock."""
        while self.at < at:
            self.at = round(self.at + 0.05, 3)
            self.answer(self.alternator.progress(self.alternation, self.at, over=over))

    def turn(self) -> None:
        """Let time pass until the color changes."""
        before = len(self.turns)
        while len(self.turns) == before:
            self.until(self.at + 0.05)

    def end(self) -> None:
        self.until(self.at + 3, over=True)
        assert self.alternation.ending


@pytest.fixture
def world() -> World:
    """In its first interval: what was colored while the counters were read for the first time is not looked at."""
    world = World()
    world.send(7, arrive=0)
    world.turn()
    return world


def test_colors_take_turns_and_every_interval_closes(world: World) -> None:
    for _ in range(3):
        world.send(100)
        world.turn()
    world.end()
    report = world.alternator.report(world.alternation, ())
    assert len(world.turns) >= 3
    assert [interval.unknown for interval in report.counted.intervals] == [None] * len(report.counted.intervals)
    assert sum(interval.entered for interval in report.counted.intervals) == 300
    assert report.verdict.disposition is Disposition.DELIVERED


def test_a_lost_packet_is_told_of_the_interval_it_was_colored_in(world: World) -> None:
    world.send(1000)
    world.turn()
    world.send(1000, arrive=999)
    world.turn()
    world.send(1000)
    world.end()
    report = world.alternator.report(world.alternation, ("note",))
    assert [interval.lost for interval in report.counted.intervals] == [0, 1, 0]
    assert report.verdict.code is CauseCode.UNDERLAY_LOSS
    assert report.notes == ("note",)


def test_packets_that_are_late_are_waited_for_and_never_called_lost(world: World) -> None:
    world.send(100, arrive=90)
    color = world.color
    world.turn()
    world.until(world.at + 0.6)
    world.send(0, color=color, arrive=10)
    world.until(world.at + 3)
    first = world.alternator.report(world.alternation, ()).counted.intervals[0]
    assert (first.entered, first.lost, first.unknown) == (100, 0, None)


def test_counters_that_never_rest_prove_nothing(world: World) -> None:
    world.send(100, arrive=0)
    while not world.alternation.closed:
        world.until(world.at + 0.05)
        if world.alternation.idle is not None:
            world.send(0, color=world.alternation.idle.color, arrive=1)
    interval = world.alternator.report(world.alternation, ()).counted.intervals[0]
    assert (interval.losses, interval.unknown) == ((), "packets were still on their way")


def test_tables_that_changed_meanwhile_spoil_the_intervals_of_that_time_only(world: World) -> None:
    for _ in range(4):
        world.send(100, arrive=90)
        world.turn()
    closed = [entry.interval for entry in world.alternation.closed]
    world.fleet.states[B].spells = ((closed[1].began_at + 1.2, inf),)
    intervals = world.alternator.report(world.alternation, ()).counted.intervals
    assert intervals[0].lost == 10
    assert all(i.unknown == "the flow tables of s2/br0 changed" for i in intervals[1:])
    assert all(i.losses == () for i in intervals[1:])


@pytest.mark.parametrize("hangs", [True, False])
def test_a_bridge_that_does_not_answer_spoils_its_interval_and_stops_nothing(world: World, *, hangs: bool) -> None:
    world.send(100)
    world.until(world.at + 0.5)
    if hangs:
        world.silent.add(B)
    else:
        world.fleet.states[B].up = False
    world.until(world.at + 20)
    first = world.alternator.report(world.alternation, ()).counted.intervals[0]
    assert first.losses == ()
    assert "s2/br0" in str(first.unknown)


def test_what_is_half_done_is_finished_before_counting_ends(world: World) -> None:
    world.until(world.at + 0.05)
    assert world.alternation.step is not Step.COLORING
    world.until(world.at + 0.05, over=True)
    assert not world.alternation.ending
    world.until(world.at + 2, over=True)
    assert world.alternation.ending


def test_a_task_that_counts_is_alone(world: World) -> None:
    trace = replace(world.run.task, id=2, request=TraceRequest(TRAFFIC))
    tracing, waiting = TaskRun(trace, 1, Stage.COLLECTING), TaskRun(trace, 1, Stage.WAITING)
    with pytest.raises(RefusedError, match="until task 2 ends"):
        require_company(TaskRun(world.run.task, 2, Stage.WAITING), (tracing,))
    with pytest.raises(RefusedError, match="until task 1 ends"):
        require_company(waiting, (world.run, waiting))
    require_company(waiting, (tracing, waiting))


def test_counting_waits_until_nothing_of_an_earlier_task_is_left(world: World) -> None:
    waiting = TaskRun(world.run.task, 2, Stage.WAITING)
    assert world.alternator.must_wait(waiting, (waiting,))
    for state in world.fleet.states.values():
        state.carried = None
    assert not world.alternator.must_wait(waiting, (waiting,))
