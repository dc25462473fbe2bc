from collections.abc import Sequence
from dataclasses import replace

import pytest
from session_network import CS1, CS2, DB, VM_PORT, flow, headers, tcp_to_db, toward
from session_world import World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.collecting import MOST_ALIKE
from vtrace_ovs.session.commands import ReadBridge, SaveRecords
from vtrace_ovs.session.decisions import LOOK_INTERVAL, MANY_RECORDS
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.trajectories.stitch import Stitcher


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


def test_the_bridges_on_both_sides_of_a_gap_are_read_once_before_a_packet_is_called_lost(world: World) -> None:
    world.claim(tcp_to_db(packet_count=3))
    world.mute |= {CS1, CS2}
    world.feed_all(world.whole_way(headers())[:2])
    world.told()
    world.wait(SessionSettings().short_buffer + 0.5, step=0.02)
    assert sorted(world.told(ReadBridge)) == ["read cs1/br", "read cs2/br"]
