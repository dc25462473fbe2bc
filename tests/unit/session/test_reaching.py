"""Only the VFDs that packets may come to are read, armed and looked at; a way that moves takes the trace with it.

``away`` has no route to gw/br, until ``moved`` gives it one.
"""

from dataclasses import replace

import pytest
from session_network import CS1, CS2, DB, GW, VTEPS, exactly, flow, headers, tcp_to_db, through_the_tunnel, toward
from session_world import World

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.flow import Flow, FlowMod
from vtrace_ovs.model.oxm import IP_DSCP, IP_PROTO, TCP_DST
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session import reaching
from vtrace_ovs.session.commands import EraseIntents, ObserveServers, Program, ReadBridge, SaveSnapshot
from vtrace_ovs.session.settings import SessionSettings

PEEK = SessionSettings().peek_interval
WAITS = SessionSettings().short_buffer + SessionSettings().long_buffer
TO_GW = through_the_tunnel(DB, VTEPS[GW])


@pytest.fixture
def away(world: World) -> World:
    world.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]))
    return world


@pytest.fixture
def many(away: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """As if there were too many VFDs to read them all."""
    monkeypatch.setattr(reaching, "READ_AT_ONCE", 1)
    return away


def moved(world: World, *flows: Flow) -> None:
    """The way of the packets goes elsewhere, and a look finds it out."""
    world.rewrite(CS1, *flows)
    world.wait(PEEK + 0.1)


def kinds(program: Program) -> set[CookieKind]:
    cookies = (Cookie.of(mod.cookie) for mod in program.mods if isinstance(mod, FlowMod))
    return {cookie.kind for cookie in cookies if cookie is not None}


def test_what_packets_cannot_come_to_is_left_alone(away: World) -> None:
    away.claim(tcp_to_db())
    away.wait(2 * PEEK)
    away.cancel()
    away.wait(1.0)
    told = away.told(Program, ObserveServers, SaveSnapshot, EraseIntents)
    assert "cs2/br +meters +sinks" in told
    assert not any("gw" in words for words in told)
    assert away.told(ReadBridge) == []
    assert (away.result.armed, away.result.vfds) == ((CS1, CS2), 3)
    assert away.clean


def test_of_few_vfds_all_are_read_once_and_later_looks_are_at_armed_ones(away: World) -> None:
    away.claim(tcp_to_db())
    assert away.told(ReadBridge) == ["read cs1/br", "read cs2/br", "read gw/br"]
    away.wait(PEEK + 0.1)
    assert away.told(ReadBridge) == ["read cs1/br", "read cs2/br"]


def test_of_many_vfds_those_on_the_way_are_read_one_after_the_other(many: World) -> None:
    many.claim(tcp_to_db())
    assert many.told(ReadBridge, Program) == [
        "read cs1/br",
        "read cs2/br",
        "cs1/br +meters +sinks",
        "cs2/br +meters +sinks",
        "cs1/br +relays",
        "cs2/br +relays",
        "cs1/br +sources",
    ]


def test_the_next_task_reads_at_once_what_the_last_one_came_by(many: World) -> None:
    many.mute |= {CS1, CS2}
    many.claim(tcp_to_db(), 1)
    assert many.told(ReadBridge) == ["read cs1/br"]
    many.mute.clear()
    many.feed(many.reading(CS1))
    many.cancel(1)
    many.wait(1.0)
    many.told()
    many.mute |= {CS1, CS2}
    many.claim(tcp_to_db(), 2)
    assert many.told(ReadBridge) == ["read cs1/br", "read cs2/br"]


def test_tables_that_were_read_long_ago_are_read_again_before_they_are_planned_on(many: World) -> None:
    many.claim(tcp_to_db(), 1)
    many.cancel(1)
    many.wait(1.0)
    many.rewrite(CS1, TO_GW)
    many.told()
    many.claim(tcp_to_db(), 2)
    assert many.told(ReadBridge) == ["read cs1/br", "read cs2/br", "read gw/br"]
    assert many.plan(CS2) is None
    assert many.plan(GW) is not None


def test_a_vfd_that_does_not_answer_is_not_waited_for_longer_than_others(many: World) -> None:
    many.mute.add(CS2)
    many.claim(tcp_to_db())
    assert many.states() == [TaskState.ARMING]
    many.wait(SessionSettings().answer_deadline + 0.2)
    assert many.states() == [TaskState.ARMING, TaskState.ARMED]
    many.feed_all((many.entering(headers()), many.leaving(headers())))
    many.wait(WAITS + 0.5)
    assert many.result.verdict.code is CauseCode.VSWITCHD_DEAD


def test_a_way_that_moves_is_followed_and_nothing_is_marked_before_it_can_be_taken_off(many: World) -> None:
    many.claim(tcp_to_db(packet_count=5))
    many.told()
    moved(many, TO_GW)
    many.wait(SessionSettings().drain)
    assert many.told(ReadBridge, Program) == [
        "read cs1/br",
        "read cs2/br",
        "read gw/br",
        "gw/br +meters +sinks",
        "cs1/br +relays +sinks",
        "gw/br +relays",
        "cs1/br -relays",
    ]
    sinks, here, there, last = [command for command in many.transcript if isinstance(command, Program)][-4:]
    assert not kinds(sinks) & {CookieKind.LEAVE, CookieKind.CLASSIFY}
    assert kinds(here) == {CookieKind.LEAVE, CookieKind.CLONE}
    assert kinds(there) == {CookieKind.CLASSIFY}
    assert all(program.touch is not None for program in (sinks, here, there))
    assert kinds(last) == {CookieKind.LEAVE}


def test_what_left_for_a_vfd_before_it_was_armed_is_not_called_lost(many: World) -> None:
    many.claim(tcp_to_db(packet_count=5))
    early = (many.entering(headers(1)), many.leaving(headers(1), to=GW))
    many.now += 0.1
    moved(many, TO_GW)
    many.wait(SessionSettings().drain)
    many.feed_all(early)
    many.feed_all((many.entering(headers(2)), many.leaving(headers(2), to=GW)))
    many.wait(WAITS + 0.5)
    before, after = many.session.runs[1].decisions
    assert (before.verdict.disposition, before.verdict.code) == (
        Disposition.INCONCLUSIVE,
        CauseCode.OUTSIDE_INVENTORY,
    )
    assert "armed only while the trace ran" in before.verdict.operator_sentence
    assert after.verdict.disposition is Disposition.LOST_ON_WIRE


def test_what_leaves_for_a_vfd_that_is_not_armed_is_not_called_lost(many: World) -> None:
    many.claim(tcp_to_db())
    many.feed_all((many.entering(headers()), many.leaving(headers(), to=GW)))
    many.wait(WAITS + 0.5)
    verdict = many.results()[-1].verdict
    assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.OUTSIDE_INVENTORY)
    assert "gw/br: it was not armed" in verdict.operator_sentence
    assert "read gw/br" not in many.told(ReadBridge)


def test_a_vfd_the_way_no_longer_leads_to_stays_armed_until_the_task_ends(many: World) -> None:
    """Marked packets may still be on their way there."""
    many.claim(tcp_to_db(packet_count=5))
    moved(many, TO_GW)
    assert many.plan(CS2) is not None
    many.cancel()
    many.wait(1.0)
    assert many.clean


def test_a_vfd_only_the_ended_task_needed_is_left_after_others_stopped_marking_toward_it(many: World) -> None:
    many.claim(tcp_to_db(443), 1)
    plain = toward(DB).with_fields(exactly(IP_PROTO, 6), exactly(TCP_DST, 80))
    many.rewrite(CS1, replace(TO_GW, priority=20, match=plain), through_the_tunnel(DB, VTEPS[CS2]))
    many.claim(tcp_to_db(80), 2)
    assert many.plan(GW) is not None
    assert GW not in many.session.runs[1].scope
    many.told()
    many.cancel(2)
    many.wait(1.0)
    told = many.told(Program)
    assert told[0] == "cs1/br -sources"
    assert told[-1] == "gw/br -sinks -meters"
    assert many.plan(CS2) is not None
    assert many.plan(GW) is None


def test_code_points_a_joining_vfd_matches_are_given_back(many: World) -> None:
    code = many.session.planning.marks.code(1, 0)
    many.rewrite(GW, flow(5, toward(DB).with_fields(exactly(IP_DSCP, code)), Output(1)))
    many.claim(tcp_to_db(packet_count=5))
    assert code in many.session.planning.marks.codes
    moved(many, TO_GW)
    assert code not in many.session.planning.marks.codes
    many.wait(1.0)
    assert many.plan(GW) is not None
