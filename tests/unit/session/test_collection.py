from collections.abc import Sequence
from dataclasses import replace

import pytest
from session_world import CS1, CS2, DB, VM_PORT, World, flow, headers, tcp_to_db, toward

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.actions import Meter, Output
from vtrace_ovs.model.flow import MeterCounters, MeterEntry
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.collecting import MOST_ALIKE
from vtrace_ovs.session.collection import LOOK_INTERVAL, MANY_RECORDS
from vtrace_ovs.session.commands import ReadBridge, SaveRecords, SaveSamples, SaveSnapshot
from vtrace_ovs.session.runs import Stage
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.trajectories.stitch import Stitcher

LIMIT = MeterEntry(7, 100, 10, packets=True)


def test_a_way_that_goes_on_after_its_first_output_is_judged_again(armed: World) -> None:
    """A flow with two outputs: the copy of the first comes first, and looks like a delivery."""
    mirrored = flow(20, toward(DB), Output(VM_PORT), *armed.production[CS1][1].instructions[0].actions)  # type: ignore[union-attr]
    armed.rewrite(CS1, mirrored, *armed.production[CS1])
    armed.feed(armed.reading(CS1))
    packet = headers()
    armed.feed(armed.entering(packet))
    to_self = armed.probe(CS1, ProbeKind.OUT, VM_PORT)
    armed.feed(armed.copy(CS1, to_self, armed.state(1), packet, in_port=9))
    armed.feed(armed.leaving(packet))
    armed.wait(SessionSettings().short_buffer + 0.2)
    assert armed.result.verdict.disposition is Disposition.LOST_ON_WIRE


def test_copies_that_come_while_draining_still_count(world: World) -> None:
    world.claim(tcp_to_db())
    packet = headers()
    world.feed_all(world.whole_way(packet))
    before = len(world.results())
    assert world.session.runs[1].stage is Stage.DRAINING
    world.feed(world.dropped(packet))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert len(world.results()) > before
    assert len(world.result.groups[0].example.hops) == 3


def test_a_copy_that_is_not_ours_is_nothing(armed: World) -> None:
    armed.told()
    foreign = armed.entering(headers())
    armed.feed(replace(foreign, packet_in=replace(foreign.packet_in, userdata=b"whatever")))
    unknown = armed.copy(CS1, armed.probe(CS1, ProbeKind.COLORED), State(), headers())
    armed.feed(replace(unknown, packet_in=replace(unknown.packet_in, metadata=())))
    assert armed.told() == []


def test_a_copy_of_a_task_that_has_ended_is_nothing(armed: World) -> None:
    late = armed.entering(headers(), slot=9)
    armed.told()
    armed.feed(late)
    assert armed.told() == []


def test_a_packet_colored_at_a_port_that_is_not_the_tasks_is_not_its(armed: World) -> None:
    armed.told()
    probe = armed.probe(CS1, ProbeKind.COLORED)
    armed.feed(armed.copy(CS1, probe, armed.state(1), headers(), in_port=9))
    assert armed.told(SaveRecords) == []


@pytest.mark.parametrize("ending", ["delivered", "nowhere"])
def test_a_mark_that_nobody_was_seen_to_give_is_no_evidence_of_the_traced_traffic(world: World, ending: str) -> None:
    """Anybody may send the traced five-tuple with a mark from a port that is not traced."""
    world.claim(tcp_to_db(packet_count=2))
    forged = headers(ip_id=99)
    world.feed_all(world.whole_way(forged)[2 : 4 if ending == "delivered" else 3])
    world.wait(10)
    world.feed_all(world.whole_way(headers()))
    world.wait(60)
    assert world.result.packets == 1
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert [group.verdict.disposition for group in world.result.groups] == [Disposition.DELIVERED]
    assert any("1 packet with a mark that nobody" in note for note in world.result.notes)


def test_marks_that_nobody_was_seen_to_give_alone_decide_nothing(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    world.feed_all(world.whole_way(headers())[2:])
    world.wait(60)
    assert world.states()[-1] is TaskState.DONE
    assert (world.result.verdict.disposition, world.result.groups) == (Disposition.INCONCLUSIVE, ())


def test_copies_of_the_plan_before_are_read_while_the_next_is_rolled_out(armed: World) -> None:
    drop = armed.dropped(headers())
    armed.mute.add(CS1)
    armed.rewrite(CS1, *armed.production[CS1][1:])
    armed.feed(armed.reading(CS1))
    armed.told()
    armed.feed(drop)
    assert armed.told(SaveRecords) == ["records 1"]


def test_a_flood_of_equal_packets_is_joined_now_and_then_only(world: World) -> None:
    world.claim(tcp_to_db(packet_count=500))
    way = world.whole_way(headers())
    for _ in range(MANY_RECORDS):
        world.now += 0.0001
        world.feed_all(replace(event, at=world.now) for event in way)
    (group,) = world.session.runs[1].groups.values()
    assert group.fresh
    assert group.looked_at < world.now
    world.now += LOOK_INTERVAL * len(way)
    world.tick()
    assert not group.fresh
    assert len(group.decisions) == MANY_RECORDS


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each look has joined."""
    sizes: list[int] = []
    stitch = Stitcher.stitch

    def counted(self: Stitcher, records: Sequence[PacketInRecord]) -> tuple[Trajectory, ...]:
        sizes.append(len(records))
        return stitch(self, records)

    monkeypatch.setattr(Stitcher, "stitch", counted)
    return sizes


def test_thousands_of_equal_packets_cost_bounded_work_and_the_task_ends(world: World, joined: list[int]) -> None:
    world.claim(tcp_to_db(packet_count=500))
    world.claim(tcp_to_db(80, packet_count=2), 2)
    way, seconds = world.whole_way(headers()), 2.0
    world.told()
    for _ in range(4 * MOST_ALIKE):
        world.now += seconds / (4 * MOST_ALIKE)
        world.feed_all(replace(event, at=world.now) for event in way)
    for number in (1, 2):
        world.feed_all(world.whole_way(headers(number, port=80), slot=1))
    world.wait(5.0)
    assert [world.states(number)[-1] for number in (1, 2)] == [TaskState.DONE] * 2
    assert sum(line == "records 1" for line in world.told(SaveRecords)) == 4 * MOST_ALIKE + 8
    assert max(joined) == 4 * MOST_ALIKE
    assert sum(size > MANY_RECORDS for size in joined) <= 2 + seconds / LOOK_INTERVAL
    flooded, calm = (world.results(number)[-1] for number in (1, 2))
    assert flooded.verdict.disposition is Disposition.DELIVERED
    assert flooded.packets == MOST_ALIKE
    untold = 500 - flooded.packets
    assert f"{untold} more packets came that equal others of the trace: too many to be told apart" in flooded.notes
    assert all(group.example.ambiguous for group in flooded.groups)
    assert (calm.verdict.disposition, calm.packets, calm.notes) == (Disposition.DELIVERED, 2, ())


def test_of_a_crowd_of_equal_packets_silence_proves_nothing(world: World) -> None:
    world.claim(tcp_to_db(packet_count=500))
    packet = headers()
    world.feed_all(world.entering(packet) for _ in range(600))
    world.wait(8.0)
    assert world.states()[-1] is TaskState.DONE
    assert {group.verdict.disposition for group in world.result.groups} == {Disposition.INCONCLUSIVE}
    assert world.result.verdict.code is CauseCode.EVIDENCE_LOST
    assert "more equal packets came than are told apart" in world.result.verdict.operator_sentence


def test_a_decided_packet_is_not_looked_at_again(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    run = armed.session.runs[1]
    assert run.packets == 1
    assert not run.open


def test_interim_results_are_not_more_frequent_than_asked_for(world: World) -> None:
    world.claim(tcp_to_db(packet_count=100))
    for number in range(50):
        world.now += 0.01
        world.feed_all(world.whole_way(headers(number)))
    assert len(world.results()) <= 2


def test_our_own_meters_are_not_productions(armed: World) -> None:
    armed.feed(armed.reading(CS1))
    tables = armed.session.fleet.states[CS1].tables
    assert tables is not None
    assert tables.meters == ()
    assert armed.meters[CS1]


def test_our_own_flows_are_not_productions(armed: World) -> None:
    armed.feed(armed.reading(CS1))
    tables = armed.session.fleet.states[CS1].tables
    assert tables is not None
    assert tables.flows == armed.production[CS1]


def test_what_a_production_meter_dropped_since_arming_explains_a_loss(world: World) -> None:
    limited = flow(20, toward(DB), *world.production[CS1][1].instructions[0].actions)  # type: ignore[union-attr]
    limited = replace(limited, instructions=(Meter(LIMIT.meter_id), *limited.instructions))
    world.rewrite(CS1, limited, *world.production[CS1])
    world.production_meters[CS1] = (LIMIT,)
    world.counters[CS1] = (MeterCounters(LIMIT.meter_id, 1000, 50),)
    world.claim(tcp_to_db())
    world.feed(world.entering(headers()))
    world.counters[CS1] = (MeterCounters(LIMIT.meter_id, 1010, 55),)
    world.wait(SessionSettings().short_buffer + 0.3)
    assert world.result.verdict.code is CauseCode.METER_RATE_LIMIT
    assert "Meter 7 dropped 5 of 10 packets" in world.result.verdict.operator_sentence


@pytest.mark.parametrize("count", [1, 3])
def test_a_reading_is_kept_as_samples_of_every_judged_task(world: World, count: int) -> None:
    for number in range(1, count + 1):
        world.claim(tcp_to_db(440 + number), number)
    world.told()
    world.feed(world.reading(CS2))
    assert world.told(SaveSamples) == ["samples"] * count


def test_tables_that_did_not_change_make_no_snapshot(armed: World) -> None:
    armed.told()
    armed.feed(armed.reading(CS1))
    assert armed.told(SaveSnapshot) == []


def test_the_bridges_on_both_sides_of_a_gap_are_read_once_before_a_packet_is_called_lost(world: World) -> None:
    world.claim(tcp_to_db(packet_count=3))
    world.mute |= {CS1, CS2}
    world.feed_all(world.whole_way(headers())[:2])
    world.told()
    world.wait(SessionSettings().short_buffer + 0.5, step=0.02)
    assert sorted(world.told(ReadBridge)) == ["read cs1/br", "read cs2/br"]


def test_a_code_point_a_tenant_was_seen_to_send_never_takes_the_place_of_another(armed: World) -> None:
    deployment = armed.session.deployment
    code, spare = deployment.marks.code(1, 0), deployment.marks.codes[-1]
    armed.feed(armed.uncolored(headers(dscp=spare)))
    assert armed.session.runs[1].notes == [], "no mark uses it, so no packet can have lost it"
    armed.feed(armed.uncolored(headers(dscp=code)))
    assert not {code, spare} & set(deployment.marks.codes)
    assert deployment.sent_by_tenants == {code, spare}
    assert any(f"DSCP {code}, a code point of ours" in note for note in armed.session.runs[1].notes)
