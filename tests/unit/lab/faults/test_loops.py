import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import loops
from vtrace_ovs.lab.faults.fault import Fault, FaultName, resolved
from vtrace_ovs.lab.faults.kinds import ProgramEdit, Programmed
from vtrace_ovs.lab.server import programs
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay

GATEWAYS = load_topology("gateways")
GW1_MAC, GW2_MAC = "0c:00:ac:1f:02:15", "0c:00:ac:1f:02:16"


def _installed(overlay: Overlay, server: str, bridge: str) -> dict[str, str]:
    """Actions by match, of the flows that are other ones in the loop."""
    way = loops.FAULTS[FaultName.ROUTING_LOOP].way
    assert isinstance(way, ProgramEdit)
    program = programs(overlay, overlay.server(server))[bridge]
    edited = way.edit(
        Programmed(overlay, server, bridge, program), resolved(Fault(FaultName.ROUTING_LOOP), overlay, of_sender=False)
    )
    return {flow.match: flow.actions for flow in edited.flows if flow not in program.flows}


def test_the_routers_route_the_destination_to_each_other_by_two_subnets() -> None:
    there = _installed(GATEWAYS, "gw1", "vr-violet")
    assert f"set_field:{GW2_MAC}->eth_dst,set_field:0x65->reg2,goto_table:30" in there["ip,nw_dst=10.2.2.0/24"]
    back = _installed(GATEWAYS, "gw2", "vr-violet")
    assert f"set_field:{GW1_MAC}->eth_dst,set_field:0x64->reg2,goto_table:30" in back["ip,nw_dst=10.2.2.0/24"]
    assert back[f"ipv6,dl_dst={GW2_MAC}"] == "goto_table:10"
    assert "ip,nw_dst=10.2.1.0/24" not in back


def test_the_gateways_know_both_routers() -> None:
    first = _installed(GATEWAYS, "gw1", "br-int")
    assert "set_field:0x192->tun_id,set_field:172.31.2.22->tun_dst" in first[f"reg1=0x192,dl_dst={GW2_MAC}"]
    assert first[f"reg1=0x191,dl_dst={GW1_MAC}"] == "output:100"
    second = _installed(GATEWAYS, "gw2", "br-int")
    assert "set_field:0x191->tun_id,set_field:172.31.2.21->tun_dst" in second[f"reg1=0x191,dl_dst={GW1_MAC}"]
    assert second[f"reg1=0x192,dl_dst={GW2_MAC}"] == "output:101"


def test_compute_servers_are_left_alone() -> None:
    assert _installed(GATEWAYS, "cs1", "br-int") == {}


def test_one_gateway_makes_no_loop(overlay: Overlay) -> None:
    with pytest.raises(UsageError, match="it takes two gateways"):
        _installed(overlay, "gw1", "vr-blue")
