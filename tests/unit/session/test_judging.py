from dataclasses import replace
from ipaddress import IPv4Address

from session_network import CS1, CS2, DB, GW, flow, headers, tcp_to_db, toward
from session_world import START, World

from vtrace_ovs.diagnosis.scene import MeterReading
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.model.actions import Clone, Output
from vtrace_ovs.model.flow import MeterCounters, MeterEntry
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.records import CounterKind
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.judging import LATE, counted_by, judge, samples_of, scene_of
from vtrace_ovs.trajectories.stitch import stitch

OTHER = IPv4Address("192.0.2.50")
NEW, ESTABLISHED, TRACKED = 0x01, 0x02, 0x20
LIMIT = MeterEntry(7, 100, 10, packets=True)


def before(packets: int, dropped: int) -> dict[int, MeterCounters]:
    return {LIMIT.meter_id: MeterCounters(LIMIT.meter_id, packets, dropped)}


def metered(world: World, packets: int, dropped: int) -> None:
    world.production_meters[CS1] = (LIMIT,)
    world.counters[CS1] = (MeterCounters(LIMIT.meter_id, packets, dropped),)
    world.feed(world.reading(CS1))


def test_a_meter_counts_what_it_did_since_the_task_was_armed(armed: World) -> None:
    metered(armed, 120, 9)
    scene = scene_of(armed.session.fleet, {}, {CS1: before(100, 4)}, {}, hop_limit=6, armed_at=START)
    assert scene.meters == (MeterReading(CS1, LIMIT, 20, 5),)


def test_a_meter_that_was_changed_meanwhile_counts_from_zero(armed: World) -> None:
    metered(armed, 12, 1)
    scene = scene_of(armed.session.fleet, {}, {CS1: before(100, 4)}, {}, hop_limit=6, armed_at=START)
    assert scene.meters == (MeterReading(CS1, LIMIT, 12, 1),)


def test_a_meter_nobody_saw_before_says_nothing(armed: World) -> None:
    metered(armed, 12, 1)
    assert scene_of(armed.session.fleet, {}, {}, {}, hop_limit=6, armed_at=START).meters == ()


def test_copies_our_meter_dropped_since_are_known_to_be_lost(armed: World) -> None:
    plan = armed.plan(CS2)
    assert plan is not None
    armed.counters[CS2] = (
        MeterCounters(plan.meter_ids.traced, 50, 8),
        MeterCounters(plan.meter_ids.apart, 50, 40),
    )
    armed.feed(armed.reading(CS2))
    then = {plan.meter_ids.traced: MeterCounters(plan.meter_ids.traced, 40, 5)}
    assert scene_of(armed.session.fleet, {}, {}, {}, hop_limit=6, armed_at=START).copies_capped == {CS2: 8}
    assert scene_of(armed.session.fleet, {}, {CS2: then}, {}, hop_limit=6, armed_at=START).copies_capped == {CS2: 3}


def test_a_scene_names_what_is_dark_late_and_cannot_be_logged(armed: World) -> None:
    hidden = flow(70, toward(DB), Clone((Output(2),)))
    armed.rewrite(CS1, hidden, *armed.production[CS1])
    armed.feed(armed.reading(CS1))
    armed.down(GW, "dead")
    armed.session.fleet.states[CS2].up_at = START + 1
    scene = scene_of(armed.session.fleet, {CS1: GENERIC_PROFILE}, {}, {}, hop_limit=6, armed_at=START)
    assert scene.unreachable == {GW: "dead"}
    assert scene.unobserved == {CS2: LATE}
    assert hidden.key in scene.unlogged[CS1]
    assert scene.hop_limit == 6


def test_counters_of_our_flows_and_of_all_meters_are_samples(armed: World) -> None:
    event = armed.reading(CS2)
    event = replace(event, meters=(MeterCounters(1, 9, 2),))
    (ours,) = event.tables.flows[-1:]
    samples = samples_of(armed.session.runs[1], event, counted_by(event, (replace(ours, n_packets=4),)))
    assert [(s.task_id, s.kind, s.packets, s.dropped) for s in samples] == [
        (1, CounterKind.FLOW, 4, 0),
        (1, CounterKind.METER, 9, 2),
    ]
    assert samples[1].subject == "meter 1"


def test_what_counts_for_another_task_only_is_no_sample(armed: World) -> None:
    run, event = armed.session.runs[1], armed.reading(CS1)
    counted = counted_by(event, [flow for flow in event.tables.flows if is_ours(flow.cookie)])
    assert {one.slot for one in counted} == {None, run.slot}
    run.slot += 1
    assert {one.kind for one in counted} == {CounterKind.FLOW}
    assert samples_of(run, event, counted) == ()
    passed = [replace(one, packets=3) for one in counted]
    assert len(samples_of(run, event, passed)) == sum(one.slot is None for one in counted)


def test_without_tables_a_packet_is_judged_by_what_was_seen(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    (group,) = armed.session.runs[1].groups.values()
    (way,) = stitch(group.records, armed.topology)
    scene = scene_of(armed.session.fleet, {}, {}, {}, hop_limit=6, armed_at=START)
    packet = judge(way, group.records, [None], scene, group.walks)
    assert packet.predicted is None
    assert packet.verdict.disposition is Disposition.DELIVERED


def test_the_tables_of_arming_are_what_a_packet_is_judged_by(world: World) -> None:
    world.claim(tcp_to_db())
    assert world.session.runs[1].judged_by[CS1].flows == world.production[CS1]
