from dataclasses import replace
from itertools import pairwise

from vtrace_ovs.instrumentation.changes import changes
from vtrace_ovs.instrumentation.cookies import CookieKind, kind_of
from vtrace_ovs.instrumentation.marks import MARKS_PER_SERIES
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.actions import ApplyActions, SetField
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod, FlowModCommand
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IP_DSCP, REGISTERS
from vtrace_ovs.model.topology import Bridge


def test_what_has_packets_leave_marked_is_apart_and_comes_before_what_classifies_them(installed: BridgePlan) -> None:
    arm, disarm = changes(None, installed), changes(installed, None)
    assert kinds(arm.relays_add) == [CookieKind.LEAVE, CookieKind.CLASSIFY]
    assert kinds(disarm.relays_delete) == [
        CookieKind.CLASSIFY,
        CookieKind.LEAVE,
    ]
    assert {kind_of(mod.cookie) for mod in arm.sinks_add} >= {CookieKind.MARK, CookieKind.RESTORE, CookieKind.CLONE}


def test_where_only_traced_packets_have_state_what_classifies_them_takes_their_marks_off_too(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables
) -> None:
    taken = tuple(Flow(0, 9, Match.of(MaskedField(register, 1, 1)), ()) for register in REGISTERS)
    tables = replace(tables, flows=(*tables.flows, *taken))
    plan = plan_bridge(bridge, tables, (task,), scene, settings=settings, now=0.0)
    assert plan.state.outlives_the_bridge
    arm, disarm = changes(None, plan), changes(plan, None)
    for relays in (arm.relays_add, disarm.relays_delete):
        assert {(mod.command, kind_of(mod.cookie)) for mod in relays} == {(FlowModCommand.ADD, CookieKind.CLASSIFY)}
    assert kinds(arm.sinks_add)[:3] == [
        CookieKind.LEAVE,
        CookieKind.TURN,
        CookieKind.CLASSIFY,
    ]
    assert kind_of_last(disarm.sinks_delete, CookieKind.CLASSIFY) < kind_of_first(disarm.sinks_delete, CookieKind.LEAVE)
    marked = [mod for mod in arm.sinks_add if kind_of(mod.cookie) is CookieKind.CLASSIFY]
    assert {leaves_with(plan, mod) for mod in (*marked, *disarm.relays_delete)} == {0}
    assert {leaves_with(plan, mod) for mod in arm.relays_add} == {scene.marks.code(hop, 0) for hop in range(2, 6)}


def test_what_another_task_has_colored_is_followed_on_where_only_traced_packets_have_state(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables
) -> None:
    taken = tuple(Flow(0, 9, Match.of(MaskedField(register, 1, 1)), ()) for register in REGISTERS)
    tables = replace(tables, flows=(*tables.flows, *taken))
    other = replace(task, slot=6, filter=replace(task.filter, destination_port=80))
    one = plan_bridge(bridge, tables, (task,), scene, settings=settings, now=0.0)
    both = plan_bridge(bridge, tables, (task, other), scene, settings=settings, now=0.0, installed=one)
    assert not changes(one, both).relays_add
    assert not changes(both, one).relays_delete


def kinds(mods: tuple[FlowMod, ...]) -> list[CookieKind | None]:
    return list(dict.fromkeys(kind_of(mod.cookie) for mod in mods))


def kind_of_first(mods: tuple[FlowMod, ...], wanted: CookieKind) -> int:
    return [kind_of(mod.cookie) for mod in mods].index(wanted)


def kind_of_last(mods: tuple[FlowMod, ...], wanted: CookieKind) -> int:
    return len(mods) - 1 - [kind_of(mod.cookie) for mod in reversed(mods)].index(wanted)


def test_a_new_series_of_marks_is_known_before_any_becomes_another(
    installed: BridgePlan, bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables
) -> None:
    """A tenant may forge the marks of a series that nobody colors with yet."""
    marks = scene.marks.with_series(10)
    assert marks is not None
    longer = replace(scene, marks=marks)
    wanted = plan_bridge(bridge, tables, (task,), longer, settings=settings, now=0.0, installed=installed)
    steps = changes(installed, wanted)
    first, then = (
        {code_point(mod): leaves_with(installed, mod) for mod in mods if kind_of(mod.cookie) is CookieKind.MARK}
        for mods in (steps.sinks_add, steps.relays_add)
    )
    codes = [marks.code(hop, 10) for hop in range(1, MARKS_PER_SERIES + 1)]
    assert first == dict.fromkeys(codes, 10)
    assert then == dict(pairwise(codes))


def test_a_code_point_given_back_is_replaced_when_all_know_the_other(
    installed: BridgePlan, bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables
) -> None:
    """Packets are under way: none may leave with the new code toward a VFD that has not heard of it."""
    given_back, before, after = (scene.marks.code(hop, 0) for hop in (2, 1, 3))
    marks = scene.marks.without(given_back)
    assert marks is not None
    without = replace(scene, marks=marks)
    wanted = plan_bridge(bridge, tables, (task,), without, settings=settings, now=0.0, installed=installed)
    steps = changes(installed, wanted)
    instead = marks.code(2, 0)
    added = [mod for mod in steps.sinks_add if kind_of(mod.cookie) is CookieKind.MARK]
    assert {(code_point(mod), leaves_with(installed, mod)) for mod in added} == {(instead, after)}
    assert {(code_point(mod), leaves_with(installed, mod)) for mod in steps.relays_add} == {(before, instead)}
    assert {(code_point(mod), leaves_with(installed, mod)) for mod in steps.relays_delete} == {(given_back, 0)}
    assert {mod.command for mod in steps.relays_delete} == {FlowModCommand.ADD}
    assert {code_point(mod) for mod in steps.sinks_delete} == {given_back}


def code_point(mod: FlowMod) -> int:
    masked = mod.match.get(IP_DSCP)
    assert masked is not None
    return masked.value


def leaves_with(plan: BridgePlan, mod: FlowMod) -> int:
    (step,) = mod.instructions
    assert isinstance(step, ApplyActions)
    (word,) = (act.value for act in step.actions if isinstance(act, SetField) and act.field is plan.state.field)
    state = State.of(word)
    assert state is not None
    return state.code
