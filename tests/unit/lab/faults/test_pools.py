from dataclasses import replace

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import pools
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import ProgramEdit, Programmed
from vtrace_ovs.lab.program import BridgeProgram
from vtrace_ovs.lab.server import programs
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay, with_tenant

NAT = load_topology("nat")


def _edited(overlay: Overlay, bridge: str) -> BridgeProgram:
    way = pools.FAULTS[FaultName.SNAT_EXHAUSTED].way
    assert isinstance(way, ProgramEdit)
    gateway = overlay.gateway()
    fault = resolved(Fault(FaultName.SNAT_EXHAUSTED), overlay, of_sender=True)
    return way.edit(Programmed(overlay, gateway.name, bridge, programs(overlay, gateway)[bridge]), fault)


def test_every_pool_has_one_port_and_nothing_leaves_untranslated() -> None:
    before = programs(NAT, NAT.gateway())["vr-green"]
    new = set(_edited(NAT, "vr-green").flows) - set(before.flows)
    assert {flow.actions for flow in new} == {
        "ct(commit,table=30,zone=2,nat(src=203.0.113.1:1024))",
        "ct(commit,table=30,zone=2,nat(src=203.0.113.2:1024))",
        "ct(commit,table=30,zone=2,nat(src=[2001:db8:c0::1]:1024))",
        "drop",
    }
    assert {flow.match for flow in new if flow.actions == "drop"} == {
        "ip,ct_state=+new+trk,nw_src=10.1.1.0/24,reg2=0x66",
        "ipv6,ct_state=+new+trk,ipv6_src=fd00:0:1:1::/64,reg2=0x66",
    }
    assert _edited(NAT, "br-int") == programs(NAT, NAT.gateway())["br-int"]


def test_without_source_nat_there_is_no_pool(overlay: Overlay) -> None:
    with pytest.raises(UsageError, match="tenant blue has no source NAT"):
        _edited(overlay, "vr-blue")


def test_somebody_else_must_be_there_to_take_the_port() -> None:
    lonely = replace(NAT.tenant("green"), vms=tuple(vm for vm in NAT.tenant("green").vms if vm.name != "web2"))
    with pytest.raises(UsageError, match="web1 needs a neighbour, and ext1 to send to"):
        _edited(with_tenant(NAT, lonely), "vr-green")
