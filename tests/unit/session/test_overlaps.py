from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from session_network import CS1, CS2, DB, VM_PORT, headers, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.plan import ArmedTask, SourcePorts
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import TaskState, TraceRequest
from vtrace_ovs.model.verdict import Disposition, TaskResult
from vtrace_ovs.session.collecting import MOST_ALIKE
from vtrace_ovs.session.commands import SaveRecords
from vtrace_ovs.session.overlaps import MOST_HELD, HeldCopies, enters_for
from vtrace_ovs.session.settings import SessionSettings

PATIENCE = SessionSettings().short_buffer + SessionSettings().long_buffer


def all_to_db(packet_count: int = 1) -> TraceRequest:
    """Everything to the database, whatever it is."""
    wanted = Filter(f"ip,nw_dst={DB}", destination=IPv4Network(DB))
    return replace(tcp_to_db(packet_count=packet_count), filter=wanted)


@pytest.fixture
def wide_and_narrow(world: World) -> World:
    """Task 1 (slot 0) is about everything to the database, task 2 (slot 1) about port 443."""
    world.claim(all_to_db(packet_count=3), 1)
    world.claim(tcp_to_db(packet_count=2), 2)
    world.told()
    return world


def record(packet_id: str) -> PacketInRecord:
    return PacketInRecord(0, 1, CS1, None, Loc.IN, packet_id, None, headers(), 2, 1, 0.0)


def outcome(result: TaskResult) -> tuple[Disposition, int]:
    return result.verdict.disposition, result.packets


@pytest.mark.parametrize("slot", [0, 1])
def test_a_packet_both_filters_match_is_evidence_for_both_whatever_name_it_travels_under(
    wide_and_narrow: World, slot: int
) -> None:
    world = wide_and_narrow
    world.feed_all(world.whole_way(headers(1), slot))
    world.feed_all(world.whole_way(headers(2), 1 - slot))
    world.feed_all(world.whole_way(headers(3, port=80), 0))
    world.wait(1.0)
    assert [outcome(world.results(number)[-1]) for number in (1, 2)] == [
        (Disposition.DELIVERED, 3),
        (Disposition.DELIVERED, 2),
    ]
    assert world.clean


def test_a_packet_that_another_task_colors_is_a_resting_ones_too(wide_and_narrow: World) -> None:
    world = wide_and_narrow
    world.session.runs[2].resting = True
    world.feed_all(world.whole_way(headers(1), 0))
    world.wait(1.0)
    assert outcome(world.results(2)[-1]) == (Disposition.DELIVERED, 1)


def test_a_drop_in_the_intersection_is_both_tasks_and_one_beside_it_is_not(wide_and_narrow: World) -> None:
    world = wide_and_narrow
    world.feed_all((world.entering(headers(1, port=80)), world.dropped(headers(1, port=80))))
    world.feed_all(world.whole_way(headers(2), slot=1))
    world.wait(0.6)
    wide, narrow = (world.results(number)[-1] for number in (1, 2))
    assert outcome(narrow) == (Disposition.DELIVERED, 1)
    assert (wide.verdict.disposition, wide.packets) == (Disposition.DROPPED, 2)


def test_copies_of_later_hops_wait_for_that_of_the_first(wide_and_narrow: World) -> None:
    world = wide_and_narrow
    entering, leaving, arriving, delivered = world.whole_way(headers(1))
    world.feed_all((arriving, delivered))
    assert world.told(SaveRecords) == []
    world.feed_all((entering, leaving))
    assert world.told(SaveRecords) == ["records 3", "records 3", "records 1", "records 1"]
    world.wait(0.6)
    assert outcome(world.results(2)[-1]) == (Disposition.DELIVERED, 1)


def test_a_packet_that_was_never_seen_entering_is_nobodys(wide_and_narrow: World) -> None:
    world = wide_and_narrow
    world.feed_all((world.arriving(headers(1)), world.delivered(headers(1))))
    world.wait(PATIENCE + 1)
    assert not world.session.runs[1].groups
    assert not world.session.runs[2].groups


def test_what_another_task_colors_after_one_closed_is_not_its(wide_and_narrow: World) -> None:
    world = wide_and_narrow
    for number in (1, 2):
        world.feed_all(world.whole_way(headers(number)))
    world.mute.add(CS2)
    world.feed_all(world.whole_way(headers(3)))
    world.feed_all(world.whole_way(headers(2)))
    world.wake(CS2)
    world.wait(1.0)
    narrow = world.results(2)[-1]
    assert outcome(narrow) == (Disposition.DELIVERED, 2)
    assert not narrow.notes


def test_equal_packets_of_another_task_do_not_keep_one_from_ending(world: World) -> None:
    world.claim(all_to_db(packet_count=500), 1)
    world.claim(tcp_to_db(packet_count=2), 2)
    for number in (1, 2):
        world.feed_all(world.whole_way(headers(number)))
    end = world.now + PATIENCE + 2
    while world.now < end:
        world.feed_all(world.whole_way(headers(2)))
        world.wait(0.05)
    assert world.states(2)[-1] is TaskState.DONE


def test_copies_under_the_name_of_a_task_that_has_ended_are_the_others_still(world: World) -> None:
    world.claim(all_to_db(), 1)
    world.claim(tcp_to_db(packet_count=5), 2)
    entering, leaving, arriving, delivered = world.whole_way(headers(1), slot=0)
    world.feed_all((entering, leaving, arriving))
    late = world.whole_way(headers(2), slot=0)
    world.feed_all(late)
    world.wait(PATIENCE + 1)
    assert world.states(1)[-1] is TaskState.DONE
    world.feed(delivered)
    world.wait(0.6)
    assert outcome(world.results(2)[-1]) == (Disposition.DELIVERED, 2)


def test_one_of_two_equal_tasks_ends_and_the_other_colors_on(world: World) -> None:
    world.claim(tcp_to_db(packet_count=1), 1)
    world.claim(tcp_to_db(packet_count=2), 2)
    world.feed_all(world.whole_way(headers(1), slot=1))
    world.wait(1.0)
    assert world.states(1)[-1] is TaskState.DONE
    assert {mod.cookie & 0xFFFF for mod in world.sources(CS1)} == {1}
    world.feed_all(world.whole_way(headers(2), slot=1))
    world.wait(1.0)
    assert outcome(world.results(2)[-1]) == (Disposition.DELIVERED, 2)
    assert world.clean


def test_a_code_point_a_tenant_sends_is_told_to_all_whose_traffic_it_is_in(wide_and_narrow: World) -> None:
    code = wide_and_narrow.session.planning.marks.code(1, 0)
    wide_and_narrow.feed(wide_and_narrow.uncolored(headers(dscp=code), slot=1))
    assert all("code point of ours" in run.notes[0] for run in wide_and_narrow.session.runs.values())


def test_held_copies_are_bounded_and_the_oldest_go_first() -> None:
    held = HeldCopies()
    for number in range(MOST_HELD + 1):
        held.hold(record(str(number)))
    held.hold(record("7"))
    assert held.release("0") == ()
    assert len(held.release("7")) == 2
    assert held.release("7") == ()


def test_held_copies_of_equal_packets_are_enough_to_show_that_there_are_too_many() -> None:
    held = HeldCopies()
    for _ in range(2 * MOST_ALIKE):
        held.hold(record("1"))
    assert len(held.release("1")) == MOST_ALIKE + 1


def test_a_packet_enters_for_a_task_at_its_port_with_its_headers(armed: World) -> None:
    traffic: ArmedTask = armed.session.runs[1].traffic
    assert traffic.sources == (SourcePorts(CS1, frozenset({VM_PORT})),)
    assert enters_for(traffic, CS1, VM_PORT, headers())
    assert not enters_for(traffic, CS2, VM_PORT, headers())
    assert not enters_for(traffic, CS1, 2, headers())
    assert not enters_for(traffic, CS1, VM_PORT, headers(port=80))
    assert not enters_for(traffic, CS1, VM_PORT, None)
