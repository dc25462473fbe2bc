from dataclasses import replace

import pytest

from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Gate, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.instrumentation.tally import Places, counted_places, counts, sources_in
from vtrace_ovs.model.actions import Action, ApplyActions, Group, Meter, Output, Resubmit, SetField
from vtrace_ovs.model.counting import CountedPlace, CountKind, Segment
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod, MeterCounters
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import IN_PORT, TCP_DST, TUN_DST
from vtrace_ovs.model.topology import Bridge, BridgeId, Topology

HERE = BridgeId("s1", "br0")
S2 = 0xC0000202
ON_THE_WAY, BACK = Segment("s1", "s2"), Segment("s2", "s1")


def production(priority: int, *actions: Action, port: int | None = None, meter: int | None = None) -> Flow:
    match = Match() if port is None else Match.of(exactly(TCP_DST, port))
    metered = () if meter is None else (Meter(meter),)
    return Flow(0, priority, match, (*metered, *((ApplyActions(actions),) if actions else ())), 0xBAD)


TO_S2 = production(9, SetField(TUN_DST, S2, TUN_DST.full_mask), Output(3), meter=7)
DROPS = production(8, port=443)
TO_GROUP = production(7, Group(1))
TO_VM = production(6, Output(1))
ON = production(5, Resubmit(None, 4))


@pytest.fixture
def plan(bridge: Bridge, scene: Scene, task: ArmedTask, settings: Settings) -> BridgePlan:
    tables = BridgeTables(9, 0.0, (TO_S2, DROPS, TO_GROUP, TO_VM, ON))
    counting = replace(scene, marks=MarkPlan.counting())
    return plan_bridge(bridge, tables, (replace(task, lease=16.0),), counting, settings=settings, now=0.0)


@pytest.fixture
def places(plan: BridgePlan, bridge: Bridge, topology: Topology) -> Places:
    return counted_places(plan, bridge, topology)


def of_kind(places: Places, kind: CountKind) -> set[CountedPlace]:
    return {place for found in places.values() for place in found if place.kind is kind}


def there(mod: FlowMod, packets: int) -> Flow:
    return Flow(mod.table_id, mod.priority, mod.match, mod.instructions, mod.cookie, n_packets=packets)


def test_packets_are_counted_where_they_come_in_by_color_and_by_who_sent_them(places: Places) -> None:
    assert of_kind(places, CountKind.ENTERED) == {CountedPlace(HERE, CountKind.ENTERED, c, 1) for c in (0, 1)}
    arrived = of_kind(places, CountKind.ARRIVED)
    patch = Segment("s1/rt", "s1/br0")
    assert {(place.port, place.segment) for place in arrived} == {(2, patch), (3, None), (3, BACK), (4, BACK)}
    assert len(arrived) == 8


def test_packets_are_counted_where_they_leave_by_whether_the_next_vfd_counts_them(places: Places) -> None:
    marked = of_kind(places, CountKind.MARKED)
    patch = Segment("s1/br0", "s1/rt")
    assert {(place.port, place.segment) for place in marked} == {(2, patch), (3, ON_THE_WAY), (4, ON_THE_WAY)}
    passed_on = of_kind(places, CountKind.PASSED_ON)
    assert {(place.port, place.segment) for place in passed_on} == {(3, ON_THE_WAY), (4, ON_THE_WAY)}
    assert {place.port for place in of_kind(places, CountKind.LEFT)} == {1, 2, 3, 4, 5, 6}


def test_packets_that_no_mark_can_be_written_into_are_counted_by_the_tunnel_they_leave_by(
    bridge: Bridge, scene: Scene, task: ArmedTask, settings: Settings, topology: Topology
) -> None:
    anything = (replace(task, filter=Filter("ip"), lease=16.0),)
    tables, counting = BridgeTables(9, 0.0, (TO_S2, TO_VM)), replace(scene, marks=MarkPlan.counting())
    plan = plan_bridge(bridge, tables, anything, counting, settings=settings, now=0.0)
    found = of_kind(counted_places(plan, bridge, topology), CountKind.UNMARKABLE)
    assert found == {CountedPlace(HERE, CountKind.UNMARKABLE, color, port) for color in (0, 1) for port in (3, 4)}


def test_drops_groups_and_meters_are_counted_by_the_production_flow(places: Places) -> None:
    dropped = {(place.flow, place.cookie, place.table_id) for place in of_kind(places, CountKind.DROPPED)}
    assert dropped == {(DROPS.key, 0xBAD, 0), (None, None, 4)}
    assert {place.flow for place in of_kind(places, CountKind.UNNAMED)} == {TO_GROUP.key}
    assert {(place.flow, place.meter_id) for place in of_kind(places, CountKind.METERED)} == {(TO_S2.key, 7)}


def test_flows_that_only_send_packets_on_count_nothing(plan: BridgePlan, places: Places) -> None:
    (on,) = {mod.priority for mod in plan.sinks if mod.table_id == 0 and mod.priority == ON.priority + 1}
    assert not any(key.priority == on and key.table_id == 0 for key in places)


def test_the_sink_that_is_sent_again_counts_nothing(plan: BridgePlan, places: Places) -> None:
    assert plan.touch in plan.sinks
    assert plan.touch.key not in places


def test_counters_of_flows_that_count_the_same_are_added(plan: BridgePlan, places: Places) -> None:
    every = [there(mod, 3) for mod in (*plan.sinks, *plan.sources)]
    found = counts(plan, places, every, ())
    assert sum(found.values()) == 3 * sum(len(places.get(flow.key, ())) for flow in every)
    assert found[CountedPlace(HERE, CountKind.OTHER_DSCP, 0)] == 3


def test_our_meters_count_by_gate_and_color_and_others_are_left_alone(plan: BridgePlan) -> None:
    meters = [MeterCounters(plan.meter_ids.counting(gate, color), 10 + color, 0) for gate in Gate for color in (0, 1)]
    found = counts(plan, {}, (), (*meters, MeterCounters(99, 7, 9)))
    kinds = (CountKind.CAME, CountKind.SENT, CountKind.ENDED, CountKind.DISCARDED)
    assert found == {CountedPlace(HERE, kind, color): 10 + color for kind in kinds for color in (0, 1)}


def test_a_counted_packet_passes_one_gate_coming_in_and_one_going_out(plan: BridgePlan) -> None:
    ids = plan.meter_ids
    gates = {ids.counting(gate, 1): gate for gate in Gate}
    leave = [mod for mod in plan.sinks if mod.table_id == plan.tables.leave]
    by_port = {
        (masked.value, gates[step.meter_id])
        for mod in leave
        for step in mod.instructions
        if isinstance(step, Meter) and step.meter_id in gates and (masked := mod.match.get(IN_PORT))
    }
    everywhere = {(port, Gate.ENDED) for port in (0, 1, 2, 3, 4, 5, 6)}
    assert by_port == everywhere | {(3, Gate.SENT), (4, Gate.SENT)}
    dropped = (step for mod in plan.sinks if mod.table_id == plan.tables.turn for step in mod.instructions)
    assert {gates.get(step.meter_id) for step in dropped if isinstance(step, Meter)} == {Gate.DISCARDED, None}
    came = [step for mod in plan.sinks if mod.table_id == plan.tables.classify for step in mod.instructions]
    assert {gates.get(step.meter_id) for step in came if isinstance(step, Meter)} == {Gate.CAME, None}


def test_sources_in_the_other_color_take_the_place_of_those_there(plan: BridgePlan) -> None:
    first, second = sources_in(plan, 0, 3.2), sources_in(plan, 1, 3.2)
    assert [mod.key for mod in first] == [mod.key for mod in second]
    assert {mod.hard_timeout for mod in (*first, *second)} == {4}
    assert [mod.instructions for mod in first] != [mod.instructions for mod in second]
