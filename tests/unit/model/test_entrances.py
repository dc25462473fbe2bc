from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model.entrances import entrances, may_enter, tenant_vnis
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

PORTS = (
    Port(1, "web", PortKind.EDGE, vm="web", tenant="red", vni=5001),
    Port(2, "db", PortKind.EDGE, vm="db", tenant="red", vni=5002),
    Port(3, "other", PortKind.EDGE, vm="other", tenant="blue", vni=6001),
    Port(4, "uplink", PortKind.EDGE),
)
BRIDGE = Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, PORTS, ManagementSocket(""))
INVENTORY = Topology((Node("s1", "", (IPv4Address("192.0.2.1"),)),), (BRIDGE,))
RED = frozenset({5001, 5002})


@pytest.mark.parametrize(
    ("scope", "there", "back"),
    [
        (Scope(), "web db other uplink", "web db other uplink"),
        (Scope(vni=5001), "web", "web db uplink"),
        (Scope(destination_vm="web"), "web db other uplink", "web db uplink"),
    ],
)
def test_replies_may_enter_by_any_subnet_of_the_tenant_and_by_nobodys(scope: Scope, there: str, back: str) -> None:
    for answers, ports in ((None, there), (1, back)):
        enters = may_enter(INVENTORY, TraceRequest(Filter("ip"), scope, answers=answers))
        assert [port.name for port in PORTS if enters(port)] == ports.split()


def test_packets_enter_by_the_source_vms_port_or_by_every_edge_port_in_scope() -> None:
    for scope, ports in (
        (Scope(source_vm="db"), "db"),
        (Scope(vni=6001), "other"),
        (Scope(source_vm="gone"), "web db other uplink"),
    ):
        found = entrances(INVENTORY, TraceRequest(Filter("ip"), scope))
        assert found == tuple((BRIDGE.id, port) for port in PORTS if port.name in ports.split())


def test_the_tenant_is_known_by_vni_or_by_who_sends() -> None:
    assert tenant_vnis(INVENTORY, TraceRequest(Filter("ip"), Scope(vni=5002))) == RED
    assert tenant_vnis(INVENTORY, TraceRequest(Filter("ip"), Scope(source_vm="web"))) == RED
    assert tenant_vnis(INVENTORY, TraceRequest(Filter("ip"), Scope(destination_vm="web"))) is None
