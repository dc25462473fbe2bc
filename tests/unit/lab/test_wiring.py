from dataclasses import replace
from ipaddress import IPv6Address

from vtrace_ovs.lab.wiring import WiringOptions, server_wiring, switch_ports, switch_wiring
from vtrace_ovs.model.overlay import Encapsulation, Overlay, UnderlayRouting


def commands(words: list[str]) -> list[str]:
    """The ovs-vsctl commands of one transaction."""
    return " ".join(words).removeprefix("-- ").split(" -- ")


def test_a_server_says_its_name_and_its_vtep(overlay: Overlay) -> None:
    first = commands(server_wiring(overlay, overlay.server("cs1"), WiringOptions()))[0]
    assert first == 'set Open_vSwitch . external_ids:hostname="cs1" external_ids:local_ip="172.31.0.11"'


def test_a_vms_port_says_whose_it_is(overlay: Overlay) -> None:
    words = commands(server_wiring(overlay, overlay.server("cs3"), WiringOptions()))
    assert "add-port br-int blue-db2" in words
    assert (
        'set Interface blue-db2 ofport_request=14 external_ids:iface-id="blue-db2" '
        'external_ids:attached-mac="02:01:0a:00:02:16" external_ids:ip="10.0.2.22,fd00:0:0:2::22" '
        'external_ids:tenant="blue" external_ids:vni="102"'
    ) in words


def test_tunnels_over_ipv6_have_an_ipv6_end(overlay: Overlay) -> None:
    far = replace(overlay.server("cs1"), vtep=IPv6Address("fd31::11"))
    text = " ".join(server_wiring(overlay, far, WiringOptions()))
    assert "options:local_ip=fd31::11" in text
    assert 'external_ids:local_ip="fd31::11"' in text
    assert 'other_config:hwaddr="06:00:00:00:00:11"' in text


def test_a_tunnel_takes_key_and_remote_from_the_flow(overlay: Overlay) -> None:
    text = " ".join(server_wiring(overlay, overlay.server("cs1"), WiringOptions()))
    assert "type=vxlan options:key=flow options:remote_ip=flow options:local_ip=172.31.0.11" in text


def test_the_tunnel_is_of_the_overlays_encapsulation(overlay: Overlay) -> None:
    over_gre = replace(overlay, underlay=replace(overlay.underlay, encapsulation=Encapsulation.GRE))
    words = commands(server_wiring(over_gre, overlay.server("cs1"), WiringOptions()))
    assert "add-port br-int gre0" in words
    assert any(word.startswith("set Interface gre0 ofport_request=1 type=gre options:key=flow") for word in words)


def test_bridges_say_their_role_and_profile(overlay: Overlay) -> None:
    options = WiringOptions("system", {"lab-vrouter": "/somewhere/copy.toml"})
    words = commands(server_wiring(overlay, overlay.server("gw1"), options))
    by_bridge = {line.split()[2]: line for line in words if line.startswith("set Bridge")}
    assert 'vtrace-profile="lab-gateway"' in by_bridge["br-int"]
    assert 'vtrace-role="vrouter"' in by_bridge["vr-blue"]
    assert 'vtrace-profile="/somewhere/copy.toml"' in by_bridge["vr-blue"]
    assert by_bridge["vr-red"].endswith('external_ids:tenant="red"')
    assert "datapath_type=system" in by_bridge["br-int"]
    assert "datapath_type=netdev" in by_bridge["br-phy"], "tunnels end in userspace beside their address"


def test_patch_ports_know_their_peer_and_their_vni(overlay: Overlay) -> None:
    words = commands(server_wiring(overlay, overlay.server("gw1"), WiringOptions()))
    assert (
        "set Interface vni201-r ofport_request=102 type=patch options:peer=vni201 "
        'external_ids:tenant="red" external_ids:vni="201"'
    ) in words


def test_an_underlay_switch_has_a_port_for_each_cable(overlay: Overlay) -> None:
    assert list(switch_ports(overlay, "pfd1")) == ["cs1", "cs2", "pfd2"]
    assert list(switch_ports(overlay, "pfd2")) == ["cs3", "gw1", "pfd1"]
    text = " ".join(switch_wiring(overlay, "pfd2"))
    assert 'vtrace-role="underlay"' in text
    assert "fail_mode=standalone" in text


def test_a_switch_with_routes_floods_nothing(overlay: Overlay) -> None:
    fabric = replace(overlay, underlay=replace(overlay.underlay, routing=UnderlayRouting.ECMP))
    assert "fail_mode=secure" in " ".join(switch_wiring(fabric, "pfd2"))
