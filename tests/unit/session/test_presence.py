"""Bridges that hang, die, lose their connection and come back, in every stage of a task."""

from dataclasses import replace

import pytest
from session_network import CS1, CS2, GW, VTEPS, exactly, headers, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.oxm import TUN_DST
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import (
    BridgeDown,
    InventoryRead,
)
from vtrace_ovs.session.settings import SessionSettings

SHORT, LONG = SessionSettings().short_buffer, SessionSettings().long_buffer
DEADLINE = SessionSettings().answer_deadline
PARTING = SessionSettings().parting_deadline


def test_a_bridge_that_never_answers_a_reading_is_given_up(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.wait(DEADLINE - 0.2)
    assert world.states() == [TaskState.ARMING]
    world.wait(0.4)
    assert world.states()[-1] is TaskState.ARMED
    assert world.session.fleet.unreachable() == {GW: "ovs-vswitchd did not answer within 5 s"}


def test_a_bridge_that_never_confirms_a_program_is_given_up(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.feed(world.reading(GW))
    world.wait(DEADLINE + 0.2)
    assert world.states()[-1] is TaskState.ARMED


def test_each_phase_has_its_own_time(world: World) -> None:
    world.mute |= {CS1, CS2, GW}
    world.claim(tcp_to_db())
    world.wait(DEADLINE - 1)
    for bridge in (CS1, CS2, GW):
        world.feed(world.reading(bridge))
    world.wait(DEADLINE - 1)
    assert not world.session.fleet.unreachable()


def test_a_bridge_that_hangs_before_a_packet_is_judged_is_given_up(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed_all((world.entering(headers()), world.leaving(headers()), world.arriving(headers())))
    world.mute.add(CS2)
    world.wait(SHORT + LONG + DEADLINE + 2)
    assert world.states()[-1] is TaskState.DONE
    assert CS2 in world.session.fleet.unreachable()


def test_nobody_forgets_marks_while_a_bridge_has_not_confirmed_that_it_colors_no_more(armed: World) -> None:
    armed.mute.add(CS1)
    armed.cancel()
    armed.wait(PARTING - 1)
    assert not armed.session.fleet.unreachable()
    assert armed.flows[CS2], "its sinks"
    armed.wake(CS1)
    armed.wait(1.0)
    assert armed.clean


def test_a_bridge_that_never_confirms_that_it_colors_no_more_is_given_up_in_the_end(armed: World) -> None:
    armed.mute.add(CS1)
    armed.cancel()
    armed.wait(PARTING + 1)
    assert armed.session.fleet.unreachable() == {CS1: f"ovs-vswitchd did not answer within {PARTING:g} s"}
    assert armed.states()[-1] is TaskState.CANCELLED
    assert not armed.flows[CS2]


def test_a_bridge_that_was_given_up_and_answers_after_all_is_cleaned(world: World) -> None:
    world.claim(tcp_to_db())
    world.mute.add(GW)
    world.feed_all(world.whole_way(headers()))
    world.wait(2 * DEADLINE + 1)
    assert world.states()[-1] is TaskState.DONE
    assert world.flows[GW]
    assert world.open_intents == {("gw/br", 1)}
    world.mute.clear()
    world.feed(world.reading(GW))
    world.wait(1.0)
    assert world.clean
    assert world.session.idle


@pytest.mark.parametrize("survives", [True, False], ids=["lost the connection", "restarted"])
@pytest.mark.parametrize("when", ["arming", "collecting", "closing", "draining", "removing"])
def test_a_bridge_may_go_at_any_time_and_come_back(world: World, when: str, *, survives: bool) -> None:
    world.mute |= {GW} if when == "arming" else set()
    world.claim(tcp_to_db())
    if when == "arming":
        world.feed(world.reading(GW))
    if when in {"closing", "removing"}:
        world.mute.add(GW)
    if when in {"closing", "draining", "removing"}:
        world.feed_all(world.whole_way(headers()))
    if when == "removing":
        world.wait(0.3)
    world.mute.clear()
    world.down(GW)
    if not survives:
        world.restart(GW)
    world.wait(0.5)
    world.up(GW)
    if when in {"arming", "collecting"}:
        assert world.flows[GW]
        world.feed_all(world.whole_way(headers()))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert world.clean
    assert world.session.idle


def test_a_bridge_that_stays_away_keeps_its_intents_open(armed: World) -> None:
    armed.down(GW)
    armed.cancel()
    armed.wait(1.0)
    assert armed.states()[-1] is TaskState.CANCELLED
    assert armed.open_intents == {("gw/br", 1)}


def test_a_bridge_with_half_a_plan_left_is_wiped_before_it_is_instrumented_again(armed: World) -> None:
    armed.down(CS2)
    armed.wait(1.0)
    armed.flows[CS2].popitem()
    armed.told()
    armed.up(CS2)
    programs = armed.told(Program)
    assert programs == ["cs2/br -all -meters", "cs2/br +meters +sinks", "cs1/br +relays", "cs2/br +relays"]
    assert all(isinstance(mod, FlowMod) for mod in armed.flows[CS2].values())


def _kind(flow: FlowMod) -> CookieKind | None:
    cookie = Cookie.of(flow.cookie)
    return None if cookie is None else cookie.kind


def marking(world: World) -> bool:
    """Whether cs1/br sends marks to cs2/br."""
    leaving = (flow for flow in world.flows[CS1].values() if CookieKind.LEAVE is _kind(flow))
    return any(exactly(TUN_DST, int(VTEPS[CS2])) in flow.match.fields for flow in leaving)


def test_nobody_marks_packets_toward_a_bridge_that_is_gone_until_it_takes_marks_off_again(armed: World) -> None:
    assert marking(armed)
    armed.down(CS2)
    armed.wait(1.0)
    assert not marking(armed)
    armed.restart(CS2)
    armed.told()
    armed.up(CS2)
    assert armed.told(Program) == [
        "cs2/br -all -meters",
        "cs2/br +meters +sinks",
        "cs1/br +relays",
        "cs2/br +relays",
    ]
    assert marking(armed)


def test_nobody_marks_packets_toward_a_bridge_that_goes_while_a_task_is_being_armed(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.feed(world.reading(GW))
    assert world.flows[CS2]
    world.down(CS2)
    world.wake(GW)
    world.wait(1.0)
    assert world.sources(CS1)
    assert not marking(world)


def test_what_a_bridge_said_before_its_connection_closed_does_not_make_it_answer_afterwards(armed: World) -> None:
    """A controller with much to do hears of the end first."""
    before = armed.reading(CS2)
    armed.wait(0.1)
    armed.down(CS2)
    armed.feed(before)
    assert CS2 in armed.session.fleet.unreachable()
    armed.feed(armed.reading(CS2))
    assert CS2 not in armed.session.fleet.unreachable()


def test_a_bridge_whose_flows_outlived_the_connection_is_left_as_it_is(armed: World) -> None:
    armed.down(CS2)
    armed.wait(1.0)
    armed.told()
    armed.up(CS2)
    assert not [told for told in armed.told(Program) if "-" in told.removeprefix("cs2/br")]
    assert armed.plan(CS2) is not None


def test_a_bridge_that_comes_up_during_a_task_is_instrumented_and_snapshotted() -> None:
    world = World(CS1, CS2)
    world.down(CS2)
    world.claim(tcp_to_db())
    world.told()
    world.up(CS2)
    told = world.told()
    assert "snapshot 1 cs2/br" in told
    assert "cs2/br +meters +sinks" in told
    assert not any("changed" in note for note in world.session.runs[1].notes)
    world.feed_all(world.whole_way(headers()))
    assert world.result.verdict.disposition is Disposition.DELIVERED


def test_a_bridge_that_comes_up_while_others_are_read_is_read_before_anything_is_planned() -> None:
    world = World(CS1, CS2)
    world.down(CS2)
    world.mute.add(CS1)
    world.claim(tcp_to_db())
    world.mute.add(CS2)
    world.up(CS2)
    world.mute.remove(CS1)
    world.feed(world.reading(CS1))
    assert world.plan(CS1) is None
    world.mute.remove(CS2)
    world.feed(world.reading(CS2))
    plan = world.plan(CS1)
    assert plan is not None
    assert [mod for mod in plan.sinks if mod.table_id == plan.tables.leave]
    assert world.plan(CS2) is not None


def test_a_dead_bridge_on_the_way_is_named(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed_all((world.entering(headers()), world.leaving(headers())))
    world.down(CS2)
    world.wait(SHORT + 0.2)
    assert world.result.verdict.code is CauseCode.VSWITCHD_DEAD


def test_a_bridge_gone_down_after_an_interim_result_is_named_in_the_next(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    world.feed_all(world.whole_way(headers(1)))
    world.wait(1.0)
    world.feed_all((world.entering(headers(2)), world.leaving(headers(2))))
    world.down(CS2)
    world.wait(SHORT + 0.2)
    assert world.result.verdict.code is CauseCode.VSWITCHD_DEAD


def test_a_bridge_the_inventory_forgets_for_a_while_is_cleaned_when_it_is_back(world: World) -> None:
    whole = world.topology
    world.claim(tcp_to_db())
    two = replace(whole, bridges=tuple(bridge for bridge in whole.bridges if bridge.id != GW))
    world.feed(InventoryRead(world.now, two))
    world.feed_all(world.whole_way(headers()))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert world.open_intents == {("gw/br", 1)}
    world.feed(InventoryRead(world.now, whole))
    world.up(GW)
    world.wait(1.0)
    assert world.clean


def test_a_task_whose_vm_leaves_the_inventory_ends_clean(armed: World) -> None:
    bridges = tuple(replace(bridge, ports=bridge.ports[-1:]) for bridge in armed.topology.bridges)
    armed.feed(InventoryRead(armed.now, replace(armed.topology, bridges=bridges)))
    armed.cancel()
    armed.wait(1.0)
    assert armed.states()[-1] is TaskState.CANCELLED
    assert armed.clean


def test_events_of_bridges_nobody_knows_are_nothing(world: World) -> None:
    stranger = BridgeId("elsewhere", GW.name)
    assert world.feed(BridgeDown(world.now, stranger, "gone")) == ()
    assert stranger not in world.session.fleet.states
