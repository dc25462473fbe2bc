from dataclasses import replace
from ipaddress import IPv4Address

from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Node,
    Port,
    PortKind,
    Topology,
    Vm,
)

WEB = Port(3, "tap0", PortKind.EDGE, vm="web-0", tenant="blue", vni=5001)
DB = Port(4, "tap1", PortKind.EDGE, vm="db-0", tenant="blue", vni=5002)
UPLINK = Port(5, "int-patch", PortKind.PATCH, peer="ext-patch")
VXLAN = Port(10, "vxlan0", PortKind.TUNNEL)
EXTERNAL = Port(1, "ext-patch", PortKind.PATCH, peer="int-patch")
VTEP = IPv4Address("192.0.2.1")


def bridge(node: str, name: str, role: BridgeRole, *ports: Port) -> Bridge:
    return Bridge(BridgeId(node, name), 1, role, ports, ManagementSocket(f"/{node}/{name}.mgmt"))


INT = bridge("server1", "br-int", BridgeRole.VSWITCH, WEB, DB, UPLINK, VXLAN)
EXT = bridge("server1", "br-ex", BridgeRole.VROUTER, EXTERNAL)
PHY = bridge("server1", "br-phy", BridgeRole.UNDERLAY, Port(3, "eth0", PortKind.EDGE, vm="not-a-vm"))
OTHER = bridge("server2", "br-ex", BridgeRole.VROUTER, EXTERNAL)
SERVER1 = Node("server1", "unix:/server1", (VTEP,))
TOPOLOGY = Topology((SERVER1, Node("server2", "unix:/server2", ())), (INT, EXT, PHY, OTHER))


def test_a_bridge_is_printed_with_its_server() -> None:
    assert str(INT.id) == "server1/br-int"


def test_ports_are_found_by_number_and_by_name() -> None:
    assert INT.port(3) is INT.port_named("tap0") is WEB
    assert INT.port(99) is None
    assert INT.port_named("none") is None


def test_servers_are_found_by_name_and_by_tunnel_endpoint() -> None:
    assert TOPOLOGY.node("server1") is TOPOLOGY.node_of_vtep(VTEP) is SERVER1
    assert TOPOLOGY.node("none") is None
    assert TOPOLOGY.node_of_vtep(IPv4Address("192.0.2.9")) is None


def test_underlay_bridges_are_no_vfds_and_hold_no_vms() -> None:
    assert TOPOLOGY.vfds() == (INT, EXT, OTHER)
    assert TOPOLOGY.vms() == (Vm("web-0", INT.id, WEB), Vm("db-0", INT.id, DB))
    assert TOPOLOGY.vm("not-a-vm") is None


def test_a_patch_port_s_peer_is_on_the_same_server() -> None:
    assert TOPOLOGY.patch_peer(INT.id, UPLINK) == (EXT, EXTERNAL)
    assert TOPOLOGY.patch_peer(INT.id, WEB) is None
    assert TOPOLOGY.bridge(BridgeId("server2", "br-int")) is None


def test_patch_ports_are_joined_only_if_each_names_the_other() -> None:
    faithless = bridge("server1", "br-ex", BridgeRole.VROUTER, replace(EXTERNAL, peer="somebody"))
    assert Topology((SERVER1,), (INT, faithless)).patch_peer(INT.id, UPLINK) is None


def test_tunnels_arrive_at_the_bridges_that_have_a_tunnel_port() -> None:
    assert TOPOLOGY.tunnel_bridges("server1") == ((INT, VXLAN),)
    assert TOPOLOGY.tunnel_bridges("server2") == ()


def test_a_tenant_s_vnis_belong_together() -> None:
    assert TOPOLOGY.vnis_of(5001) == frozenset({5001, 5002})
    assert TOPOLOGY.vnis_of(9) is None
