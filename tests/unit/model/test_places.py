from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Node,
    Port,
    PortKind,
    Topology,
    TunnelEnd,
)

HERE, THERE, ELSEWHERE = (IPv4Address(f"172.31.0.{n}") for n in (11, 12, 99))
ONE, TWO, ROUTER = BridgeId("s1", "br-int"), BridgeId("s2", "br-int"), BridgeId("s1", "vr-blue")
SOCKET = ManagementSocket("x.mgmt")


VXLAN = TunnelEnd("vxlan", 4789, None)


def _places(remote: IPv4Address | None = None, key: int | None = None, far: TunnelEnd | None = None) -> Places:
    one = (
        Port(1, "vm", PortKind.EDGE, "vm", tenant="blue", vni=101),
        Port(10, "vxlan", PortKind.TUNNEL, remote=remote, key=key, end=VXLAN),
        Port(20, "to-router", PortKind.PATCH, peer="to-int"),
        Port(21, "to-phy", PortKind.PATCH, peer="phy-int"),
    )
    two = (Port(10, "vxlan", PortKind.TUNNEL, remote=HERE if remote else None, key=key, end=far),)
    bridges = (
        Bridge(ONE, 1, BridgeRole.VSWITCH, one, SOCKET),
        Bridge(ROUTER, 2, BridgeRole.VROUTER, (Port(1, "to-int", PortKind.PATCH, peer="to-router"),), SOCKET),
        Bridge(BridgeId("s1", "br-phy"), 3, BridgeRole.UNDERLAY, (Port(1, "phy-int", PortKind.PATCH),), SOCKET),
        Bridge(TWO, 4, BridgeRole.VSWITCH, two, SOCKET),
    )
    return Places(Topology((Node("s1", "unix:1", (HERE,)), Node("s2", "unix:2", (THERE,))), bridges))


def test_a_tunnel_leads_to_the_server_of_its_outer_destination() -> None:
    onward = _places().onward(ONE, 10, Tunnel(101, HERE, THERE))
    assert (onward.kind, onward.node, onward.destination) == (PortKind.TUNNEL, "s2", THERE)
    assert onward.arrivals == ((TWO, 10),)


def test_an_address_of_the_other_family_is_no_tunnel_endpoint_whatever_its_number() -> None:
    places = _places()
    assert [places.node_of_vtep(address) for address in (THERE, IPv6Address(int(THERE)), None)] == ["s2", None, None]
    assert places.onward(ONE, 10, Tunnel(101, HERE, THERE)).node == "s2"
    assert places.onward(ONE, 10, Tunnel(101, HERE, IPv6Address(int(THERE)))).node is None


def test_a_fixed_remote_and_key_decide_without_a_tunnel() -> None:
    assert _places(THERE, 101).onward(ONE, 10, None).arrivals == ((TWO, 10),)
    assert _places(THERE, 101).onward(ONE, 10, Tunnel(202, HERE, None)).arrivals == ()


@pytest.mark.parametrize(
    ("far", "refusal"),
    [
        (VXLAN, None),
        (TunnelEnd("vxlan", 4789, THERE), None),
        (TunnelEnd("geneve", 6081, None), "takes geneve, not vxlan"),
        (TunnelEnd("vxlan", 4790, None), "listens on UDP port 4790, not 4789"),
        (TunnelEnd("vxlan", 4789, ELSEWHERE), "has the address 172.31.0.99, not 172.31.0.12"),
    ],
)
def test_a_tunnel_port_takes_what_it_is_configured_for(far: TunnelEnd, refusal: str | None) -> None:
    onward = _places(far=far).onward(ONE, 10, Tunnel(101, HERE, THERE))
    assert bool(onward.arrivals) == (refusal is None)
    assert onward.refusals == (() if refusal is None else ((TWO, f"vxlan of s2/br-int {refusal}"),))


def test_a_refusal_by_remote_or_key_says_so() -> None:
    assert _places(THERE, 101).onward(ONE, 10, Tunnel(202, HERE, None)).refusals == (
        (TWO, "vxlan of s2/br-int takes only the key 101, not 202"),
    )


def test_a_destination_of_no_server_leads_out_of_the_inventory() -> None:
    onward = _places().onward(ONE, 10, Tunnel(101, HERE, ELSEWHERE))
    assert (onward.kind, onward.node, onward.arrivals) == (PortKind.TUNNEL, None, ())


def test_a_patch_port_leads_to_its_peer_unless_that_is_no_vfd() -> None:
    places = _places()
    assert places.onward(ONE, 20, None).arrivals == ((ROUTER, 1),)
    assert places.onward(ONE, 21, None).arrivals == ()


def test_edge_local_and_unknown_ports_lead_to_no_vfd() -> None:
    places = _places()
    assert places.onward(ONE, 1, None).kind is PortKind.EDGE
    assert places.onward(ONE, 0xFFFFFFFE, None).kind is PortKind.LOCAL
    assert places.onward(ONE, 77, None).kind is None


def test_sources_are_the_other_ends() -> None:
    places = _places()
    assert places.sources(TWO, 10, Tunnel(101, HERE, THERE)) == ((ONE, 10),)
    assert places.sources(TWO, 10, None) == ((ONE, 10),)
    assert places.sources(TWO, 10, Tunnel(101, ELSEWHERE, THERE)) == ()
    assert places.sources(ROUTER, 1, None) == ((ONE, 20),)
    assert places.sources(ONE, 1, None) == ()


def test_tenants_are_known_by_port_or_vni() -> None:
    places = _places()
    assert places.tenant_of(ONE, 1, None) == "blue"
    assert places.tenant_of(ONE, 10, Tunnel(101, HERE, THERE)) == "blue"
    assert places.tenant_of(ONE, 10, Tunnel(5, HERE, THERE)) is None
    assert places.tenant_of(ONE, 77, None) is None
