"""Who is connected, from before the first task until a while after the last."""

from dataclasses import replace

import pytest
from session_network import CS1, CS2, DB, GW, SSH, VTEPS, headers, ssh, tcp_to_db, through_the_tunnel, topology
from session_world import World

from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import ServiceController
from vtrace_ovs.session.commands import Connect, HangUp, ReadBridge
from vtrace_ovs.session.events import BridgeDown, InventoryRead
from vtrace_ovs.session.judging import scene_of
from vtrace_ovs.session.settings import SessionSettings

LINGER = SessionSettings().linger
A_WHILE = LINGER + 1.0


@pytest.fixture
def astray(world: World) -> World:
    """A task for five packets is armed; none of them may come to the gateway."""
    world.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]))
    world.claim(tcp_to_db(packet_count=5, trace_time=60))
    return world


def test_without_a_task_nobody_is_called(world: World) -> None:
    world.wait(60)
    assert world.told(Connect) == []


def test_of_few_bridges_all_are_called_at_once_and_read_as_they_come(world: World) -> None:
    world.unheard.add(GW)
    world.claim(tcp_to_db())
    assert world.told(Connect, ReadBridge) == ["connect cs1/br,cs2/br,gw/br", "read cs1/br", "read cs2/br"]
    world.up(GW)
    assert world.told(ReadBridge) == ["read gw/br"]
    assert world.states()[-1] is TaskState.ARMED


def test_who_is_called_has_its_time_to_answer(world: World) -> None:
    world.unheard.update({CS1, CS2, GW})
    world.claim(tcp_to_db())
    world.wait(LINGER / 2)
    assert world.told(Connect, HangUp) == ["connect cs1/br,cs2/br,gw/br"]


def test_one_whose_greeting_fails_is_not_waited_for(world: World) -> None:
    world.unheard.add(GW)
    world.claim(tcp_to_db())
    world.down(GW)
    assert world.states()[-1] is TaskState.ARMED
    assert world.session.fleet.unreachable() == {GW: "ovs-vswitchd died"}


def test_who_is_read_is_kept_while_another_is_waited_for(world: World) -> None:
    world.unheard.add(GW)
    world.claim(tcp_to_db())
    world.wait(A_WHILE)
    assert world.told(HangUp) == []
    world.down(GW)
    assert world.states()[-1] is TaskState.ARMED
    assert {CS1, CS2} <= world.connected


def test_who_is_out_of_scope_is_hung_up_on_after_a_while(astray: World) -> None:
    astray.wait(LINGER / 2)
    assert astray.connected == {CS1, CS2, GW}
    astray.wait(1.5)
    assert astray.connected == {CS1, CS2}
    assert astray.states()[-1] is TaskState.ARMED


def test_a_way_that_moves_has_its_bridge_called_again(astray: World) -> None:
    astray.wait(A_WHILE)
    astray.told()
    astray.rewrite(CS1, through_the_tunnel(DB, VTEPS[GW]))
    astray.wait(SessionSettings().peek_interval + 0.5)
    assert astray.told(Connect) == ["connect gw/br"]
    assert astray.flows[GW]
    scene = scene_of(astray.session.fleet, {}, {}, {}, hop_limit=5, armed_at=astray.session.runs[1].armed_at)
    assert scene.unobserved == {}


def test_all_are_hung_up_on_a_while_after_the_last_task(armed: World) -> None:
    armed.cancel()
    armed.wait(LINGER / 2)
    assert armed.session.idle
    assert armed.connected == {CS1, CS2, GW}
    armed.wait(1.5)
    assert armed.connected == set()


def test_a_remote_bridge_is_kept_longer_as_its_row_costs_it_more_than_a_connection(world: World) -> None:
    bridges = (replace(one, attachment=ServiceController("tcp:192.0.2.2:6640")) for one in world.topology.bridges[1:])
    remote = replace(world.topology, bridges=(world.topology.bridges[0], *bridges))
    world.feed(InventoryRead(world.now, remote))
    world.claim(tcp_to_db())
    world.cancel()
    world.wait(A_WHILE)
    assert world.connected == {CS2, GW}
    world.wait(SessionSettings().row_linger)
    assert world.connected == set()


def test_tasks_in_a_row_do_not_call_again(armed: World) -> None:
    armed.cancel()
    armed.wait(LINGER / 2)
    armed.told()
    armed.claim(tcp_to_db(port=80), 2)
    assert armed.told(Connect, HangUp) == []
    armed.wait(60)
    assert armed.connected == set()


def test_a_bridge_with_left_overs_is_sought_until_it_is_clean(armed: World) -> None:
    armed.down(CS2)
    armed.cancel()
    armed.wait(60)
    assert armed.connected == {CS2}
    armed.up(CS2)
    armed.wait(A_WHILE)
    assert armed.clean
    assert armed.connected == set()


def test_a_bridge_that_does_not_answer_is_asked_anew_by_the_next_task(world: World) -> None:
    world.absent[CS1] = "it hangs"
    world.claim(tcp_to_db())
    assert world.saved()[-1].reason == "cs1/br: it hangs"
    assert CS1 not in world.connected
    world.absent.clear()
    world.claim(tcp_to_db(), 2)
    assert world.states(2)[-1] is TaskState.ARMED


def test_every_task_waits_for_one_that_hangs_where_none_that_runs_needs_it(world: World) -> None:
    world.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]))
    world.unheard.add(GW)
    for number in (1, 2):
        world.claim(tcp_to_db(packet_count=5), number)
        assert world.states(number)[-1] is TaskState.ARMING
        world.down(GW)
        assert world.states(number)[-1] is TaskState.ARMED
        world.wait(1.0)


def test_none_waits_for_one_that_is_known_to_hang_as_a_task_that_runs_needs_it(world: World) -> None:
    world.unheard.add(GW)
    world.claim(tcp_to_db(packet_count=5))
    world.down(GW)
    world.wait(1.0)
    world.claim(tcp_to_db(port=80), 2)
    assert world.states(2)[-1] is TaskState.ARMED


def test_late_news_of_a_bridge_that_was_hung_up_on_are_none(armed: World) -> None:
    armed.cancel()
    armed.wait(A_WHILE)
    armed.feed(BridgeDown(armed.now, CS2, "the connection was closed"))
    assert armed.session.fleet.unreachable() == {}


def test_intents_on_a_bridge_that_was_hung_up_on_are_closed_with_the_last_task_they_name(astray: World) -> None:
    to_the_gateway = replace(through_the_tunnel(DB, VTEPS[GW]), priority=20, match=ssh())
    astray.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]), to_the_gateway)
    astray.claim(tcp_to_db(port=SSH), 2)
    assert astray.flows[GW]
    astray.cancel(2)
    astray.wait(A_WHILE)
    assert GW not in astray.connected
    assert astray.open_intents >= {("gw/br", 1)}
    astray.cancel(1)
    astray.wait(1.0)
    assert astray.clean


def test_a_bridge_the_inventory_names_only_now_is_called_where_packets_may_come_to_it() -> None:
    world = World(CS1, CS2)
    world.claim(tcp_to_db(packet_count=5))
    grown = World(CS1, CS2, GW)
    for kept in ("production", "flows", "meters"):
        getattr(world, kept)[GW] = getattr(grown, kept)[GW]
    world.told()
    world.feed(InventoryRead(world.now, topology(CS1, CS2, GW)))
    assert world.told(Connect) == ["connect gw/br"]
    assert world.flows[GW]
    world.feed_all(world.whole_way(headers()))


def test_a_bridge_the_inventory_no_longer_names_is_hung_up_on(armed: World) -> None:
    armed.told()
    armed.feed(InventoryRead(armed.now, topology(CS1, CS2)))
    assert armed.told(HangUp) == ["hang up on gw/br"]
    armed.feed(InventoryRead(armed.now, topology(CS1, CS2, GW)))
    armed.wait(1.0)
    assert armed.connected == {CS1, CS2, GW}
