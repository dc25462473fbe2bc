from dataclasses import replace
from math import inf

import pytest
from session_network import CS1, headers, tcp_to_db
from session_world import World

from vtrace_ovs.diagnosis.scene import CopyTally
from vtrace_ovs.model.flow import MeterCounters
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.bridges import ASKING_INTERVAL
from vtrace_ovs.session.commands import ReadBridge
from vtrace_ovs.session.copies import CopyCount, since
from vtrace_ovs.session.events import Tick
from vtrace_ovs.session.settings import SessionSettings


def read_once(came: int, passed: int) -> CopyCount:
    """So many copies had come when a bridge first told how many its meter had let through."""
    count = CopyCount()
    count.came = came
    count.read(passed, 1.0)
    return count


def test_what_the_meter_let_through_and_never_came_is_lost() -> None:
    count = read_once(came=7, passed=10)
    assert count.tally == CopyTally(10, 3)
    count.came += 3  # they were on their way
    count.read(10, 2.0)
    assert count.tally == CopyTally(10, 0)


def test_copies_that_came_after_a_reading_make_up_for_none_that_was_lost_before() -> None:
    count = read_once(came=7, passed=10)
    count.came += 5
    assert count.tally.lost == 3
    count.read(15, 2.0)
    assert count.tally == CopyTally(15, 3)


def test_a_meter_set_anew_counts_from_zero_and_what_passes_meanwhile_is_not_counted() -> None:
    count = CopyCount()
    count.set_anew()
    count.confirmed()
    assert not count.uncounted  # nothing was on its way yet
    count.came = 4
    count.read(5, 1.0)
    count.set_anew()
    assert count.uncounted == ((1.0, inf),)
    count.read(9, 1.5)  # asked for before the meter was set
    assert count.blind
    count.came = 2
    count.confirmed()
    count.read(1, 2.0)
    assert count.uncounted == ((1.0, 2.0),)
    assert count.tally == CopyTally(6, 1)
    count.came += 3
    count.read(5, 3.0)
    assert count.tally == CopyTally(10, 2)


def test_a_meter_that_somebody_else_set_anew_is_noticed() -> None:
    count = read_once(came=5, passed=5)
    count.came += 1
    count.read(1, 2.0)
    assert count.uncounted == ((1.0, 2.0),)
    assert count.tally == CopyTally(6, 0)


def test_a_task_counts_only_what_was_lost_while_it_ran() -> None:
    assert since(CopyTally(20, 5), CopyTally(10, 3)) == CopyTally(10, 2)


def took(world: World, copies: int) -> None:
    """Our meter on cs1 let so many copies through, and somebody looks."""
    plan = world.plan(CS1)
    assert plan is not None
    world.counters[CS1] = (MeterCounters(plan.meter_ids.traced, copies, 0),)
    world.feed(world.reading(CS1))


def test_a_loss_told_by_silence_is_none_once_a_copy_is_found_missing(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    world.feed(world.entering(headers()))
    world.wait(4)
    assert world.result.verdict.disposition is Disposition.LOST_IN_VFD
    took(world, 2)
    world.tick()
    assert world.result.verdict.code is CauseCode.EVIDENCE_LOST
    assert "1 copy of traced packets never arrived: 1 of cs1/br" in world.result.notes
    world.feed(world.leaving(headers(ip_id=8)))  # that copy was only late
    took(world, 2)
    world.wait(1)
    assert world.result.verdict.disposition is Disposition.LOST_IN_VFD


def test_copies_of_before_the_task_are_not_its_own(world: World) -> None:
    world.claim(tcp_to_db(), 1)
    world.feed(world.entering(headers()))
    took(world, 3)
    world.claim(tcp_to_db(444), 2)
    world.wait(4)
    run = world.session.runs[2]
    assert run.copies_before[CS1].lost == 2


def test_what_was_asked_while_an_answer_was_due_is_waited_for_too(armed: World) -> None:
    fleet, at = armed.session.fleet, armed.now
    armed.mute.add(CS1)
    assert fleet.ask((CS1,), at)
    assert not fleet.ask((CS1,), at + 0.1)
    armed.now = at + ASKING_INTERVAL
    asked = armed.feed(armed.reading(CS1))
    assert ReadBridge(CS1) in asked
    assert fleet.owing
    armed.feed(armed.reading(CS1))
    assert not fleet.owing


def test_questions_that_come_shortly_after_another_have_one_answer(armed: World) -> None:
    fleet, at = armed.session.fleet, armed.now
    armed.mute.add(CS1)
    assert fleet.ask((CS1,), at)
    armed.feed(armed.reading(CS1))
    assert not fleet.ask((CS1,), at + 0.1)
    assert not fleet.ask((CS1,), at + 0.2)
    assert fleet.owing
    assert [command for command in armed.feed(Tick(at + ASKING_INTERVAL)) if isinstance(command, ReadBridge)] == [
        ReadBridge(CS1)
    ]
    armed.feed(armed.reading(CS1))
    assert not fleet.owing
    assert not fleet.ask_now(at + 1)


def test_copies_of_a_bridge_that_seemed_to_be_gone_are_counted_on(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    plan = world.plan(CS1)
    assert plan is not None
    world.session.fleet.states[CS1].forsake()
    world.counters[CS1] = (MeterCounters(plan.meter_ids.traced, 3, 0),)
    world.feed(world.reading(CS1))
    assert world.session.fleet.states[CS1].copies.tally == CopyTally(3, 3)


def fates(world: World, ip_id: int) -> list[Disposition]:
    """What became of the packets that look like this one."""
    (group,) = (group for group in world.session.runs[1].groups.values() if group.records[0].headers.ip_id == ip_id)
    return [decided.verdict.disposition for decided in group.decisions.values()]


@pytest.mark.parametrize("late", [8, 7], ids=["new", "looks like an earlier one"])
def test_silence_says_nothing_of_packets_that_came_when_copies_were_scarce(world: World, late: int) -> None:
    world.claim(tcp_to_db(packet_count=400))
    plan = world.plan(CS1)
    assert plan is not None
    world.feed_all((world.entering(headers(6)), *world.whole_way(headers(7))))
    for ip_id in range(1000, 1000 + plan.burst):
        world.now += 0.001
        world.feed(world.entering(headers(ip_id)))
    world.feed(world.entering(headers(late)))
    world.counters[CS1] = (MeterCounters(plan.meter_ids.traced, plan.burst + 12, 8),)
    world.wait(4)
    assert fates(world, 6) == [Disposition.LOST_IN_VFD]
    assert fates(world, 7)[0] is Disposition.DELIVERED
    assert fates(world, late)[-1] is Disposition.INCONCLUSIVE


def test_what_our_meter_capped_is_not_waited_for_any_longer_and_believed_if_it_comes(world: World) -> None:
    world.claim(tcp_to_db(packet_count=400))
    plan = world.plan(CS1)
    assert plan is not None
    for ip_id in range(1000, 1000 + plan.burst):
        world.now += 0.001
        world.feed(world.entering(headers(ip_id)))
    entered, *later = world.whole_way(headers(7))
    world.feed(entered)
    world.counters[CS1] = (MeterCounters(plan.meter_ids.traced, plan.burst + 9, 8),)
    world.wait(SessionSettings().short_buffer + 2 * ASKING_INTERVAL)
    assert fates(world, 7) == [Disposition.INCONCLUSIVE]
    world.feed_all(replace(copy, at=world.now) for copy in later)
    assert fates(world, 7) == [Disposition.DELIVERED]
