from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Network

import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind, is_ours, kind_of
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, PrivateMeters, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.state import SLOT
from vtrace_ovs.instrumentation.walk import every_action
from vtrace_ovs.model.actions import Action, ApplyActions, Clone, Controller, Output, SetField
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import (
    BridgeTables,
    Bucket,
    Flow,
    GroupEntry,
    GroupType,
    MeterEntry,
    MeterModCommand,
)
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, IPV6_LABEL, REGISTERS, field
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.topology import Bridge, BridgeId

COLORING = Cookie(3, CookieKind.COLOR, 5)
HERE, FAR = BridgeId("s1", "br0"), BridgeId("s2", "br0")
DSCP_WRITER = SetField(field("nw_tos"), 0x20, 0xFC)


def flow(*actions: Action, priority: int = 1, cookie: int = 0xBAD, match: Match | None = None) -> Flow:
    return Flow(0, priority, match or Match(), (ApplyActions(actions),), cookie)


def tables(*flows: Flow) -> BridgeTables:
    return BridgeTables(9, 0.0, flows, meters=(MeterEntry(3, 1, 1, packets=True),))


class Planned:
    """``plan_bridge`` with everything but the tables and the tasks settled."""

    def __init__(self, bridge: Bridge, scene: Scene, settings: Settings) -> None:
        self.bridge, self.scene, self.settings = bridge, scene, settings

    def __call__(
        self, tables: BridgeTables, *tasks: ArmedTask, now: float = 0.0, installed: BridgePlan | None = None
    ) -> BridgePlan:
        return plan_bridge(self.bridge, tables, tasks, self.scene, settings=self.settings, now=now, installed=installed)


@pytest.fixture
def plan(bridge: Bridge, scene: Scene, settings: Settings) -> Planned:
    return Planned(bridge, scene, settings)


def test_a_plan_ignores_our_own_flows_in_the_tables(plan: Planned, task: ArmedTask) -> None:
    production = flow(Output(1))
    first = plan(tables(production), task)
    ours = Flow(253, 1, Match(), (ApplyActions((SetField(REGISTERS[15], 0, 1),)),), Cookie(9, CookieKind.CLONE).value)
    again = plan(tables(production, ours), task, installed=first)
    assert again == first


def test_sinks_outlive_sources_and_both_outlive_the_task(plan: Planned, task: ArmedTask) -> None:
    later = replace(task, slot=6, deadline=200.0, filter=replace(task.filter, destination_port=80))
    planned = plan(tables(flow(Output(1))), task, later, now=10.5)
    assert {mod.hard_timeout for mod in planned.sinks if kind_of(mod.cookie) is CookieKind.LEAVE} == {212}
    assert {mod.hard_timeout for mod in planned.sinks if kind_of(mod.cookie) is not CookieKind.LEAVE} == {220}
    timeouts = {mod.cookie & 0xFFFF: mod.hard_timeout for mod in planned.sources}
    assert timeouts == {5: 105, 6: 205}
    assert (planned.outlet_deadline, planned.sink_deadline) == (222.5, 230.0)


def test_a_counted_tasks_sources_last_for_their_lease_only(plan: Planned, task: ArmedTask) -> None:
    planned = plan(tables(flow(Output(1))), replace(task, lease=16.0), now=10.5)
    assert {mod.hard_timeout for mod in planned.sources} == {16}
    assert {mod.hard_timeout for mod in planned.sinks} == {112, 120}


def test_where_packets_are_counted_nothing_is_copied_and_our_meters_let_everything_pass(
    plan: Planned, scene: Scene, task: ArmedTask
) -> None:
    plan.scene = replace(scene, marks=MarkPlan.counting())
    planned = plan(tables(flow(Output(1), priority=3), flow(priority=2), flow(Output(99))), task)
    every = (*planned.sinks, *planned.sources, *planned.recolored)
    steps = (action for mod in every for action in every_action(mod.instructions))
    assert not any(isinstance(action, Controller) for action in steps)
    assert [(mod.meter_id, mod.rate) for mod in planned.meters] == [(number, 0xFFFFFFFF) for number in range(4, 12)]
    assert {mod.key for mod in planned.sources} == {mod.key for mod in planned.recolored}
    assert all(mod not in planned.sources for mod in planned.recolored if Cookie.of(mod.cookie) == COLORING)


def test_meters_bound_all_copies_of_all_tasks(plan: Planned, task: ArmedTask) -> None:
    other = replace(task, slot=6, packet_count=10, filter=replace(task.filter, destination_port=80))
    planned = plan(tables(flow(Output(1))), task, other)
    assert planned.meter_ids == PrivateMeters(4, 5)
    traced, apart = planned.meters
    assert (traced.command, traced.meter_id, traced.rate, traced.burst) == (MeterModCommand.ADD, 4, 2000, 20 * 8 + 64)
    assert (apart.meter_id, apart.rate, apart.burst) == (5, 10, 20)


def test_no_more_copies_are_let_through_at_once_than_a_connection_may_take(plan: Planned, task: ArmedTask) -> None:
    planned = plan(tables(flow(Output(1))), replace(task, packet_count=1000))
    assert planned.meters[0].burst == 256


def test_every_flow_is_ours_and_no_two_have_the_same_key(plan: Planned, task: ArmedTask) -> None:
    planned = plan(tables(flow(Output(1)), flow(Output(2), priority=7)), task)
    mods = (*planned.sinks, *planned.sources)
    assert all(is_ours(mod.cookie) and mod.hard_timeout for mod in mods)
    assert len({mod.key for mod in mods}) == len(mods)


@pytest.mark.parametrize("action", [DSCP_WRITER, Clone((DSCP_WRITER,))])
def test_production_that_writes_the_dscp_is_named(plan: Planned, task: ArmedTask, action: Action) -> None:
    with pytest.raises(RefusedError, match=r"writes the DSCP.*0xbad"):
        plan(tables(flow(action, Output(1))), task)
    elsewhere = Match.of(MaskedField(field("eth_type"), 0x86DD, 0xFFFF))
    assert plan(tables(flow(action, match=elsewhere)), task).sources


def test_production_that_writes_the_flow_label_is_in_the_way_of_ipv6_tasks_only(plan: Planned, task: ArmedTask) -> None:
    writer = tables(flow(SetField(IPV6_LABEL, 5, IPV6_LABEL.full_mask), Output(1)))
    assert plan(writer, task).sources
    six = replace(task, filter=Filter("tcp6", 6, family=IpFamily.IPV6))
    with pytest.raises(RefusedError, match=r"writes the flow label.*0xbad"):
        plan(writer, six)


def test_a_group_that_writes_the_dscp_is_named(plan: Planned, task: ArmedTask) -> None:
    group = GroupEntry(8, GroupType.ALL, (Bucket(0, 0, 0, (DSCP_WRITER,)),))
    with pytest.raises(RefusedError, match="group 8"):
        plan(replace(tables(), groups=(group,)), task)


@pytest.mark.parametrize(("priority", "in_port", "refused"), [(65535, 1, True), (65535, 9, False), (65533, 1, False)])
def test_production_above_our_own_flows_is_refused_where_it_overlaps(
    plan: Planned, task: ArmedTask, priority: int, in_port: int, refused: bool
) -> None:
    match = Match.of(MaskedField(IN_PORT, in_port, IN_PORT.full_mask))
    high = tables(flow(Output(1), priority=priority, match=match))
    if refused:
        with pytest.raises(RefusedError, match=r"highest priority.*0xbad"):
            plan(high, task)
    else:
        assert plan(high, task).sources


def burst(plan: Planned, *tasks: ArmedTask) -> int:
    return plan(tables(flow(Output(1))), *tasks).burst


def with_share(task: ArmedTask, share: Fraction, slot: int = 5) -> ArmedTask:
    """A task, of whose packets this VFD takes so many copies; another takes as many as any."""
    filters = replace(task.filter, destination_port=slot)
    return replace(task, slot=slot, filter=filters, packet_count=100, shares={FAR: Fraction(1), HERE: share})


def test_a_vfd_lets_as_many_packets_through_as_the_one_they_pass_most_often(plan: Planned, task: ArmedTask) -> None:
    most = plan.settings.most_burst
    assert burst(plan, replace(task, packet_count=100)) == most
    assert burst(plan, with_share(task, Fraction(1))) == most
    assert burst(plan, with_share(task, Fraction(1, 2))) == most // 2


def test_few_packets_have_room_for_all_their_copies_wherever_they_pass(plan: Planned, task: ArmedTask) -> None:
    few = replace(with_share(task, Fraction(1, 2)), packet_count=1)
    assert burst(plan, few) == burst(plan, replace(few, shares={})) < plan.settings.most_burst // 2


def test_of_tasks_that_share_a_meter_none_gets_less_than_alone(plan: Planned, task: ArmedTask) -> None:
    half, third = with_share(task, Fraction(1, 2), 5), with_share(task, Fraction(1, 3), 6)
    assert burst(plan, half, third) == burst(plan, half) > burst(plan, third)
    elsewhere = replace(third, shares={FAR: Fraction(1)})
    assert burst(plan, half, elsewhere) == burst(plan, half)
    unknown = replace(third, shares={})
    assert burst(plan, half, unknown) == plan.settings.most_burst


def test_packets_that_come_together_always_have_room(plan: Planned, task: ArmedTask) -> None:
    """Open vSwitch takes up to 32 at a time, and a packet passes a VFD once at least, in and out."""
    assert burst(plan, with_share(task, Fraction(1, 1000))) == plan.settings.spare_copies == 2 * 32


def test_tasks_of_two_tenants_that_cannot_be_told_apart_are_refused(plan: Planned, task: ArmedTask) -> None:
    wider = Filter("all of it", source=IPv4Network("10.0.0.0/8"))
    twin = replace(task, slot=6, filter=wider, sources=(), vnis=frozenset({7001}))
    with pytest.raises(RefusedError, match="of different tenants and cannot be told apart"):
        plan(tables(), task, twin)


def test_tasks_of_one_tenant_may_overlap_at_one_port(plan: Planned, task: ArmedTask) -> None:
    """Whichever of them a packet hits, it is colored and logged the same; only the name differs."""
    wider = replace(task, slot=6, filter=Filter("all of it", source=IPv4Network("10.0.0.0/8")))
    both = plan(tables(), task, wider)
    one, other = (mod for mod in both.sources if mod.priority == 65535)
    assert one.match.overlaps(other.match)
    (mine,), (theirs,) = one.instructions, other.instructions
    assert isinstance(mine, ApplyActions)
    assert isinstance(theirs, ApplyActions)
    assert mine.actions[1:] == theirs.actions[1:]
    assert isinstance(mine.actions[0], SetField)
    assert isinstance(theirs.actions[0], SetField)
    assert (mine.actions[0].value ^ theirs.actions[0].value) >> SLOT.offset == 5 ^ 6


def test_tenants_with_the_same_addresses_are_told_apart_by_vni(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask
) -> None:
    named = (replace(port, vni=5001) if port.ofport == 2 else port for port in bridge.ports if port.ofport < 4)
    plan = Planned(replace(bridge, ports=tuple(named)), scene, settings)
    other = replace(task, slot=6, sources=(), vnis=frozenset({7001}))
    assert plan(tables(), task, other).sources
    assert plan(tables(), task, replace(other, vnis=None)).sources
    with pytest.raises(RefusedError, match="told apart"):
        Planned(bridge, scene, settings)(tables(), task, other)


def test_a_state_that_would_leak_is_refused(plan: Planned, task: ArmedTask) -> None:
    registers = flow(*(SetField(register, 0, 1) for register in REGISTERS), Clone((Output(1),)))
    with pytest.raises(RefusedError, match="pkt_mark"):
        plan(tables(registers), task)


def test_too_many_flows_are_refused(bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask) -> None:
    with pytest.raises(RefusedError, match="more than 3"):
        Planned(bridge, scene, replace(settings, max_flows=3))(tables(), task)
