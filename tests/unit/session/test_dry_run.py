from dataclasses import replace

import pytest
from session_network import CS1, CS2, DB, GW, exactly, flow, set_field, tcp_to_db, toward
from session_world import SETTINGS, START, World

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.filters import reversed_filter
from vtrace_ovs.instrumentation.cookies import Cookie
from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.filter import Scope
from vtrace_ovs.model.oxm import IP_DSCP
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.session.dry_run import plan_all


def test_a_dry_run_plans_what_arming_would_install(world: World) -> None:
    tables = {bridge: world.reading(bridge).tables for bridge in (CS1, CS2, GW)}
    planned = plan_all(world.topology, tables, [tcp_to_db()], SETTINGS, START)
    world.claim(tcp_to_db())
    assert planned == tuple(world.plan(bridge) for bridge in (CS1, CS2, GW))


def test_bridges_that_were_not_read_are_left_out_and_get_no_marks(world: World) -> None:
    (plan,) = plan_all(world.topology, {CS1: world.reading(CS1).tables}, [tcp_to_db()], SETTINGS, START)
    assert plan.bridge == CS1
    assert not [mod for mod in plan.sinks if mod.table_id == plan.tables.leave]


def test_code_points_in_use_are_avoided_or_refused(world: World) -> None:
    every_code = [flow(30 + code, toward(DB).with_fields(exactly(IP_DSCP, code)), Output(2)) for code in range(64)]
    world.rewrite(CS1, *every_code, *world.production[CS1])
    with pytest.raises(RefusedError, match="code points"):
        plan_all(world.topology, {CS1: world.reading(CS1).tables}, [tcp_to_db()], SETTINGS, START)


def test_a_dry_run_refuses_as_arming_would(world: World) -> None:
    world.rewrite(CS1, flow(60, toward(DB), set_field(IP_DSCP, 4), Output(2)))
    with pytest.raises(RefusedError, match="writes the DSCP"):
        plan_all(world.topology, {CS1: world.reading(CS1).tables}, [tcp_to_db()], SETTINGS, START)


def test_an_unknown_vm_is_a_usage_error(world: World) -> None:
    request = TraceRequest(tcp_to_db().filter, Scope(source_vm="nobody"))
    with pytest.raises(UsageError, match="nobody"):
        plan_all(world.topology, {CS1: world.reading(CS1).tables}, [request], SETTINGS, START)


def test_both_directions_are_planned_together(world: World) -> None:
    there = tcp_to_db()
    back = replace(there, filter=reversed_filter(there.filter), scope=Scope(destination_vm="web"), answers=1)
    tables = {bridge: world.reading(bridge).tables for bridge in (CS1, CS2, GW)}
    planned = {plan.bridge: plan for plan in plan_all(world.topology, tables, [there, back], SETTINGS, START)}
    colored = {CS1: {0, 1}, CS2: {1}}
    for bridge, slots in colored.items():
        cookies = [Cookie.of(source.cookie) for source in planned[bridge].sources]
        assert {cookie.slot for cookie in cookies if cookie is not None} == slots
