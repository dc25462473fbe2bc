from ipaddress import IPv4Address

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import translations
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import OverlayEdit, ProgramEdit, Programmed
from vtrace_ovs.lab.program import BridgeProgram
from vtrace_ovs.lab.server import programs
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay

NAT = load_topology("nat")


def _unbound(vm: str) -> Overlay:
    way = translations.FAULTS[FaultName.NAT_UNBOUND].way
    assert isinstance(way, OverlayEdit)
    return way.edit(NAT, resolved(Fault(FaultName.NAT_UNBOUND, vm=vm), NAT, of_sender=False))


def test_only_rules_that_lead_to_the_vm_alone_go() -> None:
    kept = _unbound("db1").tenant("green").nat
    assert [rule.number for rule in NAT.tenant("green").nat if rule not in kept] == [2, 8]
    assert IPv4Address("203.0.113.99") in {rule.outside for rule in kept}


def test_a_vm_without_an_outside_address_cannot_lose_it() -> None:
    with pytest.raises(UsageError, match="no NAT rule of tenant green leads to web1"):
        _unbound("web1")


def _edited(name: FaultName, overlay: Overlay, bridge: str) -> BridgeProgram:
    way = translations.FAULTS[name].way
    assert isinstance(way, ProgramEdit)
    program = programs(overlay, overlay.gateway())[bridge]
    return way.edit(
        Programmed(overlay, overlay.gateway().name, bridge, program), resolved(Fault(name), overlay, of_sender=False)
    )


def test_a_group_loses_its_buckets_or_their_life() -> None:
    assert [empty.body for empty in _edited(FaultName.LB_WITHOUT_BACKEND, NAT, "vr-green").groups] == [
        "type=select"
    ] * 2
    for dead in _edited(FaultName.LB_DEAD_BACKENDS, NAT, "vr-green").groups:
        assert dead.body.startswith("type=ff,bucket=watch_port:999,ct(")
        assert dead.body.count("watch_port") == 2
    assert _edited(FaultName.LB_DEAD_BACKENDS, NAT, "br-int") == programs(NAT, NAT.gateway())["br-int"]


def test_a_vrouter_without_a_load_balancer_has_none_to_break(overlay: Overlay) -> None:
    with pytest.raises(UsageError, match="vr-blue has no load balancer"):
        _edited(FaultName.LB_WITHOUT_BACKEND, overlay, "vr-blue")


def test_a_rule_that_commits_nothing_only_looks_connections_up() -> None:
    way = translations.FAULTS[FaultName.NAT_UNCOMMITTED].way
    assert isinstance(way, ProgramEdit)
    program = programs(NAT, NAT.gateway())["vr-green"]
    fault = resolved(Fault(FaultName.NAT_UNCOMMITTED, vm="db1"), NAT, of_sender=False)
    edited = way.edit(Programmed(NAT, "gw1", "vr-green", program), fault)
    changed = set(edited.flows) - set(program.flows)
    assert sorted(flow.match for flow in changed) == ["ip,nw_dst=203.0.113.21", "ipv6,ipv6_dst=2001:db8:c0::21"]
    assert {flow.actions for flow in changed} == {"ct(table=10,zone=1,nat)"}


def test_gateways_forget_a_machine_that_the_load_balancer_still_knows() -> None:
    program = programs(NAT, NAT.gateway())
    mac, address = NAT.vm("db1").mac, str(NAT.vm("db1").address)
    way = translations.FAULTS[FaultName.LB_BACKEND_GONE].way
    assert isinstance(way, ProgramEdit)
    fault = resolved(Fault(FaultName.LB_BACKEND_GONE, vm="db1"), NAT, of_sender=False)
    for bridge in ("vr-green", "br-int"):
        edited = way.edit(Programmed(NAT, "gw1", bridge, program[bridge]), fault)
        gone = set(program[bridge].flows) - set(edited.flows)
        assert gone
        assert all(mac in flow.match + flow.actions for flow in gone)
        assert edited.groups == program[bridge].groups
    assert address in program["vr-green"].groups[0].body
    compute = programs(NAT, NAT.server("cs1"))["br-int"]
    assert way.edit(Programmed(NAT, "cs1", "br-int", compute), fault) == compute


def test_only_a_machine_behind_a_load_balancer_can_be_missed_there() -> None:
    with pytest.raises(UsageError, match="ext1 is behind no load balancer; there are: db1, db3"):
        _edited(FaultName.LB_BACKEND_GONE, NAT, "vr-green")
