"""Transcripts: what happens, and what the session does about it, in order."""

from collections.abc import Callable

import pytest
from session_network import CS1, CS2, DB, GW, flow, headers, set_field, tcp_to_db, toward
from session_words import is_relay, words
from session_world import World

from vtrace_ovs.model.actions import Clone, Output
from vtrace_ovs.model.oxm import IP_DSCP
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.commands import EraseIntents, Program, ReadBridge, SaveTaskState, WriteIntents
from vtrace_ovs.session.decisions import QUICK
from vtrace_ovs.session.events import IntentsWritten, PacketInReceived
from vtrace_ovs.session.settings import SessionSettings

SHORT, LONG = SessionSettings().short_buffer, SessionSettings().long_buffer
DEADLINE = SessionSettings().answer_deadline


def test_a_task_is_armed_sinks_first_after_its_intents(world: World) -> None:
    world.claim(tcp_to_db())
    assert world.told() == [
        "task 1 arming",
        "read cs1/br",
        "read cs2/br",
        "read gw/br",
        "observe 1 before cs1,cs2,gw",
        "intents of 1",
        *(f"watch {server}/br" for server in ("cs1", "cs2", "gw")),
        "cs1/br +meters +sinks",
        "cs2/br +meters +sinks",
        "gw/br +meters +sinks",
        *(f"{server}/br +relays" for server in ("cs1", "cs2", "gw")),
        "cs1/br +sources",
        "task 1 armed",
        "snapshot 1 cs1/br",
        "snapshot 1 cs2/br",
        "snapshot 1 gw/br",
    ]


def test_it_is_calm_without_tasks_and_while_they_wait_for_packets(world: World) -> None:
    assert world.session.calm
    world.hold_intents = True
    world.claim(tcp_to_db())
    assert not world.session.calm
    world.hold_intents = False
    (writing,) = [command for command in world.transcript if isinstance(command, WriteIntents)]
    world.feed(IntentsWritten(world.now, writing.batch))
    assert world.session.calm
    entered, *_ = world.whole_way(headers())
    world.feed(entered)
    assert not world.session.calm


def finished_by_a_tick(world: World, last: PacketInReceived) -> None:
    world.session.handle(last, copies_follow=True)
    world.tick()


@pytest.mark.parametrize("finish", [World.feed, finished_by_a_tick])
def test_what_copies_lead_to_waits_for_the_last_of_them_or_for_an_event_of_another_kind(
    world: World, finish: Callable[[World, PacketInReceived], object]
) -> None:
    world.claim(tcp_to_db())
    world.told()
    *others, last = world.whole_way(headers())
    commands = [command for copy in others for command in world.session.handle(copy, copies_follow=True)]
    assert [words(command) for command in commands] == ["records 1"] * 3
    finish(world, last)
    assert world.told()[-1] == "final 1 DELIVERED"


def test_a_delivered_packet_ends_the_task_at_once(world: World) -> None:
    world.claim(tcp_to_db())
    world.told()
    world.feed_all(world.whole_way(headers()))
    told = world.told()
    assert told[:2] == ["records 1", "task 1 draining"]
    assert "cs1/br -sources" in told
    assert told[-2:] == ["trajectories 1", "final 1 DELIVERED"]
    world.wait(1.0)
    assert world.told() == [
        *(f"read {server}/br" for server in ("cs1", "cs2", "gw")),
        *["samples"] * 3,
        *(f"{server}/br -relays" for server in ("cs1", "cs2", "gw")),
        "cs1/br -sinks -meters",
        "cs2/br -sinks -meters",
        "gw/br -sinks -meters",
        *(f"unwatch {server}/br" for server in ("cs1", "cs2", "gw")),
        "observe 1 after cs1,cs2,gw",
        "final 1 DELIVERED",
        *(f"erase {server}/br 1" for server in ("cs1", "cs2", "gw")),
        "task 1 done",
    ]
    assert world.clean
    assert world.session.idle


def test_a_drain_is_between_sources_and_relays_and_one_between_relays_and_sinks(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed_all(world.whole_way(headers()))
    assert not world.sources(CS1)
    relays, drain = {key for key, mod in world.flows[CS2].items() if is_relay(mod)}, SessionSettings().drain
    for left in (relays, set()):
        world.now += drain - 0.01
        world.tick()
        assert relays & world.flows[CS2].keys() == left
        assert world.flows[CS2]
        world.now += 0.02
        world.tick()
    assert not world.flows[CS2]


def test_no_program_goes_out_before_its_intents_are_written(world: World) -> None:
    world.hold_intents = True
    world.claim(tcp_to_db())
    (intents,) = [command for command in world.transcript if isinstance(command, WriteIntents)]
    assert world.told(Program) == []
    world.feed(IntentsWritten(world.now, intents.batch))
    assert world.told(Program)[0] == "cs1/br +meters +sinks"


def test_sources_wait_for_the_sinks_of_every_bridge(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.feed(world.reading(GW))
    assert world.told(Program) == ["cs1/br +meters +sinks", "cs2/br +meters +sinks", "gw/br +meters +sinks"]
    assert not world.sources(CS1)


def test_nothing_seen_until_trace_time_is_unseen(world: World) -> None:
    world.claim(tcp_to_db(trace_time=10))
    world.wait(9.9)
    assert world.states() == [TaskState.ARMING, TaskState.ARMED]
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert world.result.verdict.disposition is Disposition.UNSEEN
    assert world.result.verdict.code is CauseCode.NOT_SENT
    assert world.clean


def test_a_drop_is_told_at_once(world: World) -> None:
    world.claim(tcp_to_db(port=22))
    packet = headers(port=22)
    world.feed_all((world.entering(packet), world.dropped(packet)))
    assert world.result.verdict.disposition is Disposition.DROPPED
    assert world.result.verdict.culprit is not None
    assert world.result.verdict.culprit.bridge == CS1


def test_a_packet_lost_on_the_wire_is_told_after_the_short_buffer_and_a_fresh_look(world: World) -> None:
    world.claim(tcp_to_db())
    world.told()
    world.feed_all((world.entering(headers()), world.leaving(headers())))
    world.told()
    world.wait(SHORT - 0.1)
    assert not world.results()
    world.wait(0.2)
    assert "read cs1/br" in world.told(ReadBridge)
    assert world.result.verdict.disposition is Disposition.LOST_ON_WIRE


def answering_late(world: World, packet: Headers) -> None:
    """The packet left, and CS2 takes its time to say what it has."""
    world.claim(tcp_to_db())
    world.feed_all((world.entering(packet), world.leaving(packet)))
    world.mute.add(CS2)
    world.wait(SHORT + 0.1)
    world.mute.discard(CS2)
    world.now += 2 * QUICK
    world.feed(world.reading(CS2))


def test_where_bridges_are_slow_it_is_told_after_the_long_one_and_another_look(world: World) -> None:
    answering_late(world, headers())
    world.told()
    world.wait(LONG - 0.4)
    assert all(result.verdict.disposition is Disposition.INCONCLUSIVE for result in world.results())
    world.wait(0.5)
    assert {"read cs1/br", "read cs2/br"} <= set(world.told(ReadBridge))
    assert world.result.verdict.disposition is Disposition.LOST_ON_WIRE


def test_a_packet_that_is_long_on_its_way_to_a_slow_bridge_is_never_called_lost(world: World) -> None:
    packet = headers()
    answering_late(world, packet)
    world.wait(LONG - 0.4)
    world.feed_all((world.arriving(packet), world.delivered(packet)))
    world.wait(10)
    assert [result.verdict.disposition for result in world.results() if result.verdict.disposition.is_loss] == []
    assert world.result.verdict.disposition is Disposition.DELIVERED


def test_a_packet_that_never_left_is_looked_after_too(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed(world.entering(headers()))
    world.wait(SHORT + 0.2)
    assert world.result.verdict.disposition is not Disposition.DELIVERED
    assert world.result.packets == 1


def test_what_stays_inconclusive_waits_for_the_long_buffer(world: World) -> None:
    hidden = flow(70, toward(DB), Clone((Output(1),)))  # no log can be put into it
    world.rewrite(CS2, hidden, *world.production[CS2])
    world.claim(tcp_to_db())
    world.feed_all(world.whole_way(headers())[:3])
    world.wait(SHORT + LONG - 0.2)
    assert not world.results()
    world.wait(0.4)
    assert world.result.verdict.disposition is Disposition.INCONCLUSIVE


def test_a_late_copy_in_the_buffers_completes_the_packet(world: World) -> None:
    world.claim(tcp_to_db())
    *early, last = world.whole_way(headers())
    world.feed_all(early)
    world.wait(SHORT / 2)
    world.feed(last)
    assert world.result.verdict.disposition is Disposition.DELIVERED


def test_coloring_ends_when_enough_packets_are_traced_though_later_hops_are_on_their_way(armed: World) -> None:
    ways = [armed.whole_way(headers(number)) for number in range(5)]
    for way in ways:
        armed.feed(way[0])
    assert armed.states()[-1] is TaskState.DRAINING
    assert not armed.sources(CS1)
    for way in ways:
        armed.feed_all(way[1:])
    assert armed.result.packets == 5
    assert armed.result.verdict.disposition is Disposition.DELIVERED


def test_more_packets_than_asked_for_are_counted_and_not_traced(armed: World) -> None:
    ways = [armed.whole_way(headers(number)) for number in range(8)]
    for way in ways:
        armed.feed_all(way)
    armed.wait(1.0)
    assert armed.result.packets == 5
    assert "3 more packets were colored before coloring ended" in armed.result.notes


def test_twins_beyond_the_number_asked_for_are_not_traced_either(armed: World) -> None:
    for _ in range(8):
        for event in armed.whole_way(headers()):
            armed.now += 0.001
            armed.feed(event)
    armed.wait(1.0)
    assert armed.result.packets == 5
    assert armed.result.verdict.disposition is Disposition.DELIVERED
    assert "3 more packets were colored before coloring ended" in armed.result.notes


# Refusals.


def test_a_refusal_of_the_planner_is_the_tasks_reason_and_nothing_is_programmed(world: World) -> None:
    world.claim(tcp_to_db())
    world.rewrite(CS1, flow(20, toward(DB), set_field(IP_DSCP, 1)), *world.production[CS1])
    world.told()
    world.claim(tcp_to_db(), 2)
    world.tick()
    assert world.told(Program) == []
    last = world.saved()[-1]
    assert (last.task_id, last.state) == (2, TaskState.FAILED)
    assert "writes the DSCP" in (last.reason or "")
    assert world.states(1) == [TaskState.ARMING, TaskState.ARMED]


def test_a_bridge_that_refuses_a_flow_fails_the_task_and_everything_is_taken_back(world: World) -> None:
    world.refusing[CS2] = "the bridge refused a change of ours: table full"
    world.claim(tcp_to_db())
    world.refusing.clear()
    world.wait(1.0)
    last = world.saved()[-1]
    assert (last.state, last.reason) == (
        TaskState.FAILED,
        "cs2/br: the bridge refused a change of ours: table full",
    )
    assert world.clean
    assert not world.results()


def test_a_bridge_that_refuses_removal_keeps_its_intents(world: World) -> None:
    world.claim(tcp_to_db())
    world.refusing_removal[CS2] = "no"
    world.feed_all(world.whole_way(headers()))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert world.open_intents == {("cs2/br", 1)}
    world.refusing_removal.clear()
    world.claim(tcp_to_db(), 2)
    world.cancel(2)
    world.wait(1.0)
    assert world.clean


# Tables that change, and traffic that differs.


def test_a_refusal_of_a_changed_table_is_noted_and_tried_again_with_the_next(armed: World) -> None:
    writes_dscp = flow(60, toward(DB), set_field(IP_DSCP, 4), Output(2))
    kept = armed.production[CS1]
    armed.rewrite(CS1, writes_dscp, *kept)
    armed.feed(armed.reading(CS1))
    armed.tick()
    armed.rewrite(CS1, *kept, flow(50, toward(DB), Output(2)))
    armed.told()
    armed.feed(armed.reading(CS1))
    assert "cs1/br +sinks" in armed.told(Program)
    armed.cancel()
    armed.wait(1.0)
    assert any("could not be instrumented anew" in note for note in armed.result.notes)


def test_traffic_with_a_dscp_of_its_own_gets_its_series(armed: World) -> None:
    armed.told()
    armed.feed(armed.uncolored(headers(dscp=10)))
    assert armed.session.planning.marks.series == (0, 10)
    assert "cs1/br +sources" in armed.told(Program)


def test_traffic_that_sends_one_of_our_code_points_gets_it_back(armed: World) -> None:
    code = armed.session.planning.marks.code(1, 0)
    armed.feed(armed.uncolored(headers(dscp=code)))
    marks = armed.session.planning.marks
    assert marks.mark(code) is None
    assert code in marks.series


def test_more_dscp_values_than_there_are_codes_for_are_noted(armed: World) -> None:
    for dscp in (8, 10, 12):
        armed.feed(armed.uncolored(headers(dscp=dscp)))
    armed.cancel()
    armed.wait(1.0)
    assert "packets with DSCP 12 were not traced: no code points are left to carry their marks" in armed.result.notes


# Several tasks.


def test_two_tasks_share_bridges_and_end_each_for_itself(world: World) -> None:
    world.claim(tcp_to_db(443), 1)
    world.claim(tcp_to_db(80), 2)
    world.feed_all(world.whole_way(headers(port=80), slot=1))
    world.wait(1.0)
    assert world.states(2)[-1] is TaskState.DONE
    assert world.states(1)[-1] is TaskState.ARMED
    assert world.flows[CS2]
    assert {mod.cookie & 0xFFFF for mod in world.sources(CS1)} == {0}
    world.feed_all(world.whole_way(headers(), slot=0))
    world.wait(1.0)
    assert [world.results(number)[-1].packets for number in (1, 2)] == [1, 1]
    assert world.clean


def test_a_task_arriving_during_a_transition_gets_one_of_its_own(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db(443), 1)
    world.claim(tcp_to_db(80), 2)
    world.mute.clear()
    world.feed(world.reading(GW))
    world.wait(0.5)
    assert world.states(1)[-1] is TaskState.ARMED
    assert world.states(2)[-1] is TaskState.ARMED
    assert {mod.cookie & 0xFFFF for mod in world.sources(CS1)} == {0, 1}


def test_flows_outlast_a_slow_arming(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db(443, trace_time=30), 1)
    world.wait(DEADLINE + 1)
    run = world.session.runs[1]
    world.claim(tcp_to_db(80, trace_time=30), 2)
    world.wait(0.2)
    assert world.session.runs[2].promised_until >= world.now + 29
    installed_for = min(mod.hard_timeout for mod in world.sources(CS1))
    assert run.armed_at + installed_for > run.deadline


def test_erasing_comes_last(armed: World) -> None:
    armed.cancel()
    armed.wait(1.0)
    last_program = max(i for i, command in enumerate(armed.transcript) if isinstance(command, Program))
    erased = [i for i, command in enumerate(armed.transcript) if isinstance(command, EraseIntents)]
    assert min(erased) > last_program
    assert isinstance(armed.transcript[-1], SaveTaskState)


def test_a_session_without_tasks_asks_for_nothing(world: World) -> None:
    world.told()
    world.wait(5.0)
    assert world.told() == []
    assert world.session.idle
