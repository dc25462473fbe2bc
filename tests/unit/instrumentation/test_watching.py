from dataclasses import replace

import pytest

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.watching import watches
from vtrace_ovs.model.actions import Action, ApplyActions, Output, SetField
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowMod
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import REGISTERS
from vtrace_ovs.model.topology import Bridge

OWN_TABLES = {CookieKind.LEAVE, CookieKind.TURN}
IN_PRODUCTIONS = {CookieKind.CLONE, CookieKind.MISS}


def is_watched(plan: BridgePlan, mod: FlowMod) -> bool:
    return any(
        watch.table_id == mod.table_id and frozenset(watch.match.fields) <= frozenset(mod.match.fields)
        for watch in watches(plan)
    )


@pytest.mark.parametrize("spare", [True, False], ids=["a register", "pkt_mark"])
def test_what_takes_marks_off_and_what_colors_is_watched_and_nothing_of_productions(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, spare: bool
) -> None:
    used = () if spare else tuple(SetField(register, 0, register.full_mask) for register in REGISTERS)
    actions: tuple[Action, ...] = (*used, Output(1))
    production = Flow(0, 1, Match(), (ApplyActions(actions),))
    plan = plan_bridge(bridge, BridgeTables(1, 0.0, (production,)), (task,), scene, settings=settings, now=0.0)
    assert plan.state.outlives_the_bridge is not spare
    seen = {True: set[CookieKind](), False: set[CookieKind]()}
    for mod in (*plan.sinks, *plan.sources):
        cookie = Cookie.of(mod.cookie)
        assert cookie is not None
        seen[is_watched(plan, mod)].add(cookie.kind)
    assert seen[False] <= OWN_TABLES | IN_PRODUCTIONS
    assert seen[True].isdisjoint(OWN_TABLES | IN_PRODUCTIONS)
    assert {CookieKind.COLOR, CookieKind.CLASSIFY} <= seen[True]
    assert not is_watched(plan, replace(plan.sinks[0], table_id=0, match=production.match))


def test_where_there_is_no_plan_nothing_is_watched() -> None:
    assert watches(None) == ()
