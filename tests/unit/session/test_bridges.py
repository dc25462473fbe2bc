from dataclasses import replace
from math import inf

from session_network import CS1, CS2, DB, GW, flow, topology, toward
from session_world import START, World

from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.flow import BridgeTables, PortDescription
from vtrace_ovs.session.bridges import ASKING_INTERVAL, BridgeState, Fleet, same_tables
from vtrace_ovs.session.commands import ReadBridge

FLOWS = (flow(10, toward(DB), Output(2)), flow(0, toward(DB)))
TABLES = BridgeTables(1, START, FLOWS)


def state() -> BridgeState:
    return BridgeState(topology(CS1).bridges[0])


def test_counters_and_order_do_not_make_other_tables() -> None:
    counted = tuple(replace(entry, n_packets=9, duration=4.0) for entry in reversed(FLOWS))
    assert same_tables(TABLES, replace(TABLES, flows=counted, read_at=START + 9))


def test_flows_and_ports_make_other_tables() -> None:
    down = PortDescription(1, "web", "02:00:00:00:00:01", link_down=True, admin_down=False)
    assert not same_tables(TABLES, replace(TABLES, flows=FLOWS[:1]))
    assert not same_tables(replace(TABLES, ports=(replace(down, link_down=False),)), replace(TABLES, ports=(down,)))


def test_the_version_counts_changes_of_the_tables() -> None:
    one = state()
    for tables in (TABLES, TABLES, replace(TABLES, flows=())):
        one.adopt(tables, (), (), START)
    assert one.tables_version == 2


def test_an_inventory_keeps_what_is_known_of_its_bridges() -> None:
    fleet = Fleet()
    fleet.adopt(topology(CS1, CS2), ())
    fleet.states[CS1].up = True
    fleet.adopt(topology(CS1, GW), ("cs2: no answer",))
    assert set(fleet.states) == {CS1, GW}
    assert (fleet.states[CS1].up, fleet.states[GW].up) == (True, None)
    assert fleet.problems == ("cs2: no answer",)
    assert not fleet.gone


def test_a_forgotten_bridge_that_may_carry_flows_of_ours_is_remembered(armed: World) -> None:
    fleet = armed.session.fleet
    fleet.states[CS2].forsake()
    fleet.adopt(topology(CS1), ())
    assert set(fleet.gone) == {CS2}
    fleet.adopt(topology(CS1, CS2), ())
    assert fleet.states[CS2].left
    assert not fleet.gone


def test_a_forsaken_bridge_is_not_counted_on_but_not_forgotten(armed: World) -> None:
    one = armed.session.fleet.states[CS1]
    plan = one.carried
    one.forsake(None)
    assert (one.carried, one.planned_with, one.left) == (None, None, (plan,))


def test_only_bridges_with_known_tables_can_take_marks_off() -> None:
    fleet = Fleet()
    fleet.adopt(topology(CS1, CS2, GW), ())
    fleet.states[CS1].up = fleet.states[CS2].up = True
    fleet.states[CS1].adopt(TABLES, (), (), START)
    fleet.states[GW].adopt(TABLES, (), (), START)
    assert fleet.armable() == {CS1}
    assert fleet.live() == (CS1, CS2)
    assert set(fleet.tables()) == {CS1, GW}


def test_a_bridge_is_silent_until_it_answers() -> None:
    fleet = Fleet()
    fleet.adopt(topology(CS1), ())
    fleet.states[CS1].up = True
    assert fleet.ask((CS1,), START) == (ReadBridge(CS1),)
    assert fleet.silent(START + 4.9, lambda _: 5.0) == ()
    assert fleet.silent(START + 5.0, lambda _: 5.0) == (CS1,)
    fleet.states[CS1].adopt(TABLES, (), (), START + 5.0)
    assert fleet.silent(START + 50.0, lambda _: 5.0) == ()


def test_a_bridge_that_is_down_owes_no_answer() -> None:
    fleet = Fleet()
    fleet.adopt(topology(CS1), ())
    fleet.ask((CS1,), START)
    fleet.states[CS1].up = False
    fleet.states[CS1].reason = "dead"
    assert fleet.silent(START + 50.0, lambda _: 5.0) == ()
    assert fleet.unreachable() == {CS1: "dead"}


def test_tables_that_change_are_not_those_that_were_cloned_until_they_are_cloned_again(armed: World) -> None:
    one = armed.session.fleet.states[CS1]
    armed.feed(armed.reading(CS1))
    assert not one.spells
    read_at = one.read_at
    armed.wait(3.0)
    armed.rewrite(CS1, flow(7, toward(DB)))
    armed.mute.add(CS1)
    armed.feed(armed.reading(CS1))
    (spell,) = one.spells
    assert spell[0] <= read_at + 3.0
    assert spell[1] == inf
    armed.wake(CS1)
    armed.wait(1.0)
    ((since, until),) = one.spells
    assert since == spell[0]
    assert since < until < inf


def test_a_bridge_that_owes_an_answer_is_asked_once_more_and_no_more(world: World) -> None:
    world.mute.add(CS1)
    fleet = world.session.fleet
    assert fleet.ask((CS1,), world.now) == (ReadBridge(CS1),)
    assert [fleet.ask((CS1,), world.now + 1) for _ in range(3)] == [()] * 3
    world.now += 2
    world.told()
    world.feed(world.reading(CS1))
    assert world.told(ReadBridge) == [f"read {CS1}"]
    world.now += 1
    world.feed(world.reading(CS1))
    assert world.told(ReadBridge) == []


def test_what_was_asked_of_a_bridge_that_went_is_not_waited_for(armed: World) -> None:
    armed.mute.add(CS1)
    fleet = armed.session.fleet
    fleet.ask((CS1,), armed.now)
    armed.down(CS1)
    armed.up(CS1)
    assert not fleet.owing
    assert fleet.ask((CS1,), armed.now + ASKING_INTERVAL) == (ReadBridge(CS1),)


def test_tables_that_stayed_as_they_were_are_kept(world: World) -> None:
    world.feed(world.reading(CS1))
    state = world.session.fleet.states[CS1]
    before = state.tables
    world.now += 1
    world.feed(world.reading(CS1))
    assert state.tables is before
    assert state.read_at == world.now
