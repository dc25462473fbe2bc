from dataclasses import replace
from ipaddress import IPv4Address

from session_network import (
    CS1,
    CS2,
    DB,
    GW,
    TUNNEL_PORT,
    VM_PORT,
    VTEPS,
    WEB,
    exactly,
    flow,
    set_field,
    tcp_to_db,
    through_the_tunnel,
    toward,
)
from session_world import World

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.model.actions import OFPP_IN_PORT, Output
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import IN_PORT, IP_DSCP, IPV4_DST, TUN_DST
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program, ReadBridge


def test_a_refused_plan_does_not_count_as_made(armed: World) -> None:
    before = armed.session.fleet.states[CS1].planned_with
    crowd = tuple(flow(50 + number, toward(DB), Output(2)) for number in range(3))
    armed.session.planning.settings = replace(armed.session.planning.settings, max_flows=5)
    armed.rewrite(CS1, *armed.production[CS1], *crowd)
    armed.feed(armed.reading(CS1))
    armed.tick()
    assert armed.session.deployment.refusal is not None
    assert armed.session.fleet.states[CS1].planned_with == before


def test_sources_of_one_task_go_without_planning_for_the_others(world: World) -> None:
    world.claim(tcp_to_db(443), 1)
    world.claim(tcp_to_db(80), 2)
    world.mute.add(CS1)
    world.told()
    world.cancel(2)
    assert world.told(Program, ReadBridge) == ["cs1/br -sources"]


def test_the_flows_of_a_removed_task_go_and_the_other_keeps_its_own(world: World) -> None:
    world.claim(tcp_to_db(443), 1)
    alone = dict(world.flows[CS2])
    world.claim(tcp_to_db(80), 2)
    assert len(world.flows[CS2]) > len(alone)
    world.cancel(2)
    world.wait(1.0)
    assert set(world.flows[CS2]) == set(alone)


def test_a_longer_task_prolongs_shared_sinks(world: World) -> None:
    world.claim(tcp_to_db(443, trace_time=30), 1)
    world.told()
    world.claim(tcp_to_db(80, trace_time=300), 2)
    assert min(mod.hard_timeout for mod in world.flows[CS2].values()) >= 300


def test_marks_leave_out_the_code_points_production_uses(world: World) -> None:
    default = world.session.planning.marks.code(1, 0)
    used = flow(30, toward(DB).with_fields(exactly(IP_DSCP, default)), Output(2))
    world.rewrite(CS1, used, *world.production[CS1])
    world.claim(tcp_to_db())
    assert default not in world.session.planning.marks.codes


def test_what_a_task_looks_like_behind_nat_is_fixed_when_it_is_armed(world: World) -> None:
    """Later it would be known to some VFDs and not yet to others, and a mark would pass those that do not know it."""
    there, elsewhere = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.60")
    translating = flow(40, toward(DB), set_field(IPV4_DST, int(there)), Output(2))
    world.rewrite(CS1, translating, *world.production[CS1])
    world.claim(tcp_to_db())
    (alias,) = world.session.runs[1].traffic.aliases
    assert alias.text == f"tcp,nw_src={WEB},nw_dst={there},tp_dst=443"
    world.rewrite(CS1, flow(41, toward(DB), set_field(IPV4_DST, int(elsewhere)), Output(2)), *world.production[CS1])
    world.session.deployment.stale = True
    world.tick()
    assert world.session.runs[1].traffic.aliases == (alias,)


def test_every_vfd_takes_marks_off_translated_packets_before_any_is_colored(world: World) -> None:
    there = IPv4Address("192.0.2.50")
    world.rewrite(CS1, flow(40, toward(DB), set_field(IPV4_DST, int(there)), Output(2)), *world.production[CS1])
    world.claim(tcp_to_db())
    for bridge, expected in ((CS1, {CookieKind.CLASSIFY, CookieKind.LEAVE}), (CS2, {CookieKind.CLASSIFY})):
        plan = world.plan(bridge)
        assert plan is not None
        kinds = {
            cookie.kind
            for entry in plan.sinks
            if (masked := entry.match.get(IPV4_DST)) is not None and masked.value == int(there)
            if (cookie := Cookie.of(entry.cookie)) is not None
        }
        assert expected <= kinds


def test_a_task_that_ends_leaves_the_meter_as_it_is(world: World) -> None:
    world.claim(tcp_to_db(443), 1)
    world.claim(tcp_to_db(80), 2)
    carried = world.session.fleet.states[CS2].carried
    assert carried is not None
    world.cancel(2)
    world.wait(1.0)
    left = world.session.fleet.states[CS2]
    assert left.carried is not None
    assert left.carried != carried
    assert left.carried.meters == carried.meters
    assert not left.copies.blind


def test_flows_of_another_run_refuse(world: World) -> None:
    world.claim(tcp_to_db())
    theirs = world.flows[CS2]
    other = World(CS1, CS2, GW)
    other.session.planning.settings = replace(other.session.planning.settings, generation=9)
    other.flows[CS2] = theirs
    other.claim(tcp_to_db())
    other.tick()
    assert other.told(Program) == []
    assert "cs2/br carries flows of another run" in (other.saved()[-1].reason or "")


def test_closing_plans_nothing_anew(armed: World) -> None:
    armed.rewrite(CS1, *armed.production[CS1], flow(50, toward(DB), Output(2)))
    armed.rewrite(CS2, *armed.production[CS2], flow(50, toward(WEB), Output(2)))
    armed.told()
    armed.cancel()
    armed.wait(0.1)
    assert armed.told(Program) == ["cs1/br -sources"]
    armed.wait(1.0)
    assert armed.clean


def test_a_vfd_that_packets_pass_less_often_takes_fewer_copies_and_whoever_counts_them_is_told(world: World) -> None:
    """They enter at cs1, come back there from gw, and then go to cs2."""
    world.rewrite(CS1, *there_and_back())
    world.rewrite(GW, flow(10, toward(DB), set_field(TUN_DST, int(VTEPS[CS1])), Output(OFPP_IN_PORT)))
    world.claim(tcp_to_db(packet_count=100))
    programs = [command for command in world.transcript if isinstance(command, Program)]
    assert {program.bridge: program.burst for program in programs if program.burst} == {CS1: 256, CS2: 128, GW: 128}
    assert bursts(world) == {CS1: 256, CS2: 128, GW: 128}


def test_meters_that_let_enough_through_are_left_alone(world: World) -> None:
    """Setting one loses count of the copies on their way."""
    world.rewrite(CS1, *there_and_back())
    world.rewrite(GW, flow(10, toward(DB), set_field(TUN_DST, int(VTEPS[CS1])), Output(OFPP_IN_PORT)))
    world.claim(tcp_to_db(packet_count=100), 1)
    world.claim(tcp_to_db(80, packet_count=100), 2)
    assert bursts(world) == {CS1: 256, CS2: 128, GW: 128}
    world.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]))
    world.told()
    world.claim(tcp_to_db(90, packet_count=100), 3)
    assert bursts(world) == {CS1: 256, CS2: 256, GW: 128}
    assert not any("meters" in words for words in world.told(Program) if "cs2" not in words)
    world.cancel(3)
    world.wait(1.0)
    assert bursts(world) == {CS1: 256, CS2: 256, GW: 128}


def there_and_back() -> tuple[Flow, ...]:
    """What VMs of cs1 send goes to gw, and what comes from there to cs2."""
    from_vm, from_gw = (toward(DB).with_fields(exactly(IN_PORT, in_port)) for in_port in (VM_PORT, TUNNEL_PORT))
    return (
        replace(through_the_tunnel(DB, VTEPS[GW]), match=from_vm),
        flow(10, from_gw, set_field(TUN_DST, int(VTEPS[CS2])), Output(OFPP_IN_PORT)),
    )


def bursts(world: World) -> dict[BridgeId, int]:
    """What the meter for copies of traced packets lets through, where there is one."""
    plans = {bridge: world.plan(bridge) for bridge in (CS1, CS2, GW)}
    return {bridge: world.meters[bridge][plan.meter_ids.traced].burst for bridge, plan in plans.items() if plan}
