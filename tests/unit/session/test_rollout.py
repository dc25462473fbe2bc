from session_network import CS1, CS2
from session_words import is_removal, is_source
from session_world import World

from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod
from vtrace_ovs.session.rollout import Phase, Rollout


def plans(world: World) -> dict[str, BridgePlan]:
    found = {str(bridge): world.plan(bridge) for bridge in (CS1, CS2)}
    return {name: plan for name, plan in found.items() if plan is not None}


def steps(rollout: Rollout) -> list[tuple[Phase | None, list[str]]]:
    """Run a rollout whose bridges confirm everything."""
    seen = []
    while programs := rollout.advance():
        seen.append((rollout.phase, [str(program.bridge) for program in programs]))
        for program in programs:
            rollout.confirmed(program.bridge, ())
    return seen


def test_a_first_rollout_puts_sinks_everywhere_before_sources(armed: World) -> None:
    found = plans(armed)
    rollout = Rollout.between(1, {}, {CS1: found["cs1/br"], CS2: found["cs2/br"]}, {})
    assert rollout.installs
    both = ["cs1/br", "cs2/br"]
    assert steps(rollout) == [(Phase.SINKS_IN, both), (Phase.RELAYS_IN, both), (Phase.SOURCES_IN, ["cs1/br"])]


def test_a_last_rollout_takes_sources_first_and_waits_before_the_sinks(armed: World) -> None:
    found = plans(armed)
    carried = {CS1: found["cs1/br"], CS2: found["cs2/br"]}
    rollout = Rollout.between(1, carried, {CS1: None, CS2: None}, {})
    assert not rollout.installs
    (program,) = rollout.advance()
    assert all(is_source(mod) for mod in program.mods if isinstance(mod, FlowMod))
    rollout.confirmed(program.bridge, ())
    assert rollout.must_drain


def test_meters_are_there_before_and_after_the_flows_that_use_them(armed: World) -> None:
    plan = plans(armed)["cs2/br"]
    (first,) = Rollout.between(1, {}, {CS2: plan}, {}).advance()
    assert isinstance(first.mods[0], MeterMod)
    rollout = Rollout.between(1, {CS2: plan}, {CS2: None}, {})
    (relays,) = rollout.advance()
    assert not any(isinstance(mod, MeterMod) for mod in relays.mods)
    rollout.confirmed(CS2, ())
    (last,) = rollout.advance()
    assert isinstance(last.mods[-1], MeterMod)
    assert isinstance(last.mods[0], FlowMod)


def test_remains_go_before_anything_comes(armed: World) -> None:
    plan = plans(armed)["cs2/br"]
    rollout = Rollout.between(1, {}, {CS2: plan}, {CS2: (plan,)})
    (program,) = rollout.advance()
    assert rollout.phase is Phase.REMAINS_OUT
    assert all(is_removal(mod) for mod in program.mods)
    assert all(mod.cookie_mask for mod in program.mods if isinstance(mod, FlowMod))


def test_remains_go_last_where_nothing_is_wanted(armed: World) -> None:
    plan = plans(armed)["cs2/br"]
    rollout = Rollout.between(1, {}, {CS2: None}, {CS2: (plan,)})
    assert not rollout.installs
    (program,) = rollout.advance()
    assert rollout.phase is Phase.SINKS_OUT
    assert [mod.command for mod in program.mods[:3]] == [FlowModCommand.DELETE] * 3


def test_refusals_are_collected(armed: World) -> None:
    rollout = Rollout.between(1, {}, {CS2: plans(armed)["cs2/br"]}, {})
    rollout.advance()
    rollout.confirmed(CS2, ("a",))
    rollout.confirmed(CS2, ("b",))
    assert rollout.errors == {CS2: ("a", "b")}
    assert not rollout.waiting


def test_a_lost_bridge_is_waited_for_no_more(armed: World) -> None:
    found = plans(armed)
    rollout = Rollout.between(1, {}, {CS1: found["cs1/br"], CS2: found["cs2/br"]}, {})
    rollout.advance()
    rollout.confirmed(CS1, ())
    rollout.lost(CS2)
    assert not rollout.waiting
    assert [program.bridge for program in rollout.advance()] == [CS1]


def test_nothing_to_do_is_nothing(armed: World) -> None:
    plan = plans(armed)["cs1/br"]
    rollout = Rollout.between(1, {CS1: plan}, {CS1: plan}, {})
    assert rollout.advance() == ()
