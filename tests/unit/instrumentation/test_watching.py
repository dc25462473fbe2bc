from dataclasses import replace

import pytest

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.watching import watches
from vtrace_ovs.model.actions import Action, ApplyActions, Output, SetField
from vtrace_ovs.model.flow import ALL_TABLES, BridgeTables, Flow, FlowChange, FlowMod
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import REGISTERS
from vtrace_ovs.model.topology import Bridge

IN_PRODUCTIONS = {CookieKind.CLONE, CookieKind.MISS}


def watched(plan: BridgePlan, mod: FlowMod) -> frozenset[FlowChange]:
    return frozenset[FlowChange]().union(
        *(
            watch.changes
            for watch in watches(plan)
            if watch.table_id in (mod.table_id, ALL_TABLES)
            and frozenset(watch.match.fields) <= frozenset(mod.match.fields)
        )
    )


@pytest.mark.parametrize("spare", [True, False], ids=["a register", "pkt_mark"])
def test_all_of_ours_is_watched_clones_for_other_actions_only_and_nothing_of_productions(
    bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, spare: bool
) -> None:
    used = () if spare else tuple(SetField(register, 0, register.full_mask) for register in REGISTERS)
    actions: tuple[Action, ...] = (*used, Output(1))
    production = Flow(0, 1, Match(), (ApplyActions(actions),))
    plan = plan_bridge(bridge, BridgeTables(1, 0.0, (production,)), (task,), scene, settings=settings, now=0.0)
    assert plan.state.outlives_the_bridge is not spare
    kinds = set[CookieKind]()
    for mod in (*plan.sinks, *plan.sources):
        cookie = Cookie.of(mod.cookie)
        assert cookie is not None
        kinds.add(cookie.kind)
        assert watched(plan, mod) == ({FlowChange.MODIFIED} if cookie.kind in IN_PRODUCTIONS else set(FlowChange))
    assert {CookieKind.COLOR, CookieKind.CLASSIFY, CookieKind.CLONE} <= kinds
    assert not watched(plan, replace(plan.sinks[0], table_id=0, match=production.match))


def test_where_there_is_no_plan_nothing_is_watched() -> None:
    assert watches(None) == ()
