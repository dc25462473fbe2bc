from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.cli.typed_packet import TypedPacket, typed_packet
from vtrace_ovs.errors import FilterError, UsageError
from vtrace_ovs.model.packet import FiveTuple, Fragment, Tunnel
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Port, PortKind, Topology

BRIDGE = BridgeId("s1", "br")
PORTS = tuple(
    Port(
        n,
        f"vnet{n}",
        PortKind.EDGE,
        vm=name,
        addresses=(IPv4Address(address), IPv6Address(f"fd00::{n}")),
        mac=f"02:00:00:00:00:0{n}",
        vni=vni,
    )
    for n, name, address, vni in ((1, "web", "10.0.0.1", 5), (2, "db", "10.0.0.2", 5), (3, "other", "10.0.0.2", 6))
)
TOPOLOGY = Topology((), (Bridge(BRIDGE, 1, BridgeRole.VSWITCH, PORTS, ManagementSocket("")),))
WHOLE = "tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=5,tp_dst=80"


def typed(text: str, vm: str | None = None, length: int | None = None) -> TypedPacket:
    return typed_packet(text, length, None if vm is None else TOPOLOGY.vm(vm), TOPOLOGY)


def test_a_whole_filter_is_a_packet() -> None:
    found = typed(WHOLE)
    headers = found.headers
    assert headers.five_tuple == FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), 5, 80)
    assert (headers.ttl, headers.length, headers.vlan_tci, headers.fragment) == (64, 98, None, Fragment.NO)
    assert (headers.eth_src, headers.dscp, headers.tcp_flags, found.tunnel) == ("", None, None, None)
    assert found.notes == (
        "Assumed: nw_ttl=64, 98 bytes long, no VLAN tag, not a fragment.",
        "Left open, so nothing may depend on it: dl_src, dl_dst, nw_tos, nw_ecn, tcp_flags.",
    )


def test_more_header_fields_may_stand_anywhere() -> None:
    text = (
        f"dl_src=00:00:00:00:00:01, DL_DST=00:00:00:00:00:02,{WHOLE},dl_vlan=100,dl_vlan_pcp=3 nw_ttl=0,nw_tos=44,"
        "nw_ecn=1,tcp_flags=syn|ack,nw_frag=first,tun_id=0x65,tun_src=192.0.2.1"
    )
    found = typed(text, length=1500)
    headers = found.headers
    assert (headers.eth_src, headers.eth_dst) == ("00:00:00:00:00:01", "00:00:00:00:00:02")
    assert (headers.vlan_tci, headers.ttl, headers.dscp, headers.ecn, headers.tcp_flags) == (0x7064, 0, 11, 1, 0x12)
    assert (headers.fragment, headers.length) == (Fragment.FIRST, 1500)
    assert found.tunnel == Tunnel(101, IPv4Address("192.0.2.1"), None)
    assert found.notes == ()


def test_the_sender_fills_in_its_addresses_and_its_neighbours() -> None:
    found = typed("icmp,nw_dst=10.0.0.2", "web")
    assert found.headers.five_tuple == FiveTuple(1, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))
    assert (found.headers.eth_src, found.headers.eth_dst) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert found.notes[0] == (
        "From the inventory: nw_src=10.0.0.1, dl_src=02:00:00:00:00:01, dl_dst=02:00:00:00:00:02 (db)."
    )
    assert "icmp_type, icmp_code" in found.notes[-1]


def test_an_ipv6_packet_is_typed_like_any_other() -> None:
    found = typed("tcp6,ipv6_dst=fd00::2,tp_src=5,tp_dst=80,tun_id=5,tun_ipv6_src=2001:db8::1,ipv6_label=7", "web")
    assert found.headers.five_tuple == FiveTuple(6, IPv6Address("fd00::1"), IPv6Address("fd00::2"), 5, 80)
    assert (found.headers.eth_type, found.headers.eth_dst, found.headers.length) == (0x86DD, "02:00:00:00:00:02", 118)
    assert found.tunnel == Tunnel(5, IPv6Address("2001:db8::1"), None)
    assert "ipv6_src=fd00::1, dl_src" in found.notes[0]
    assert found.headers.flow_label == 7
    assert "ipv6_label" in typed("icmp6,ipv6_dst=fd00::2", "web").notes[-1]
    with pytest.raises(UsageError, match="only IPv6 has a flow label"):
        typed("icmp,nw_dst=10.0.0.2,ipv6_label=7", "web")
    with pytest.raises(UsageError, match="give ipv6_dst"):
        typed("icmp6", "web")
    with pytest.raises(UsageError, match="tun_src and tun_ipv6_src are both given"):
        typed("icmp6,ipv6_dst=fd00::2,tun_id=5,tun_src=192.0.2.1,tun_ipv6_src=2001:db8::1", "web")


def test_what_is_typed_wins_over_the_inventory() -> None:
    found = typed("icmp,nw_src=10.9.9.9,nw_dst=10.0.0.2,dl_src=02:00:00:00:00:09,dl_dst=02:00:00:00:00:08", "web")
    assert (found.headers.eth_src, found.headers.eth_dst) == ("02:00:00:00:00:09", "02:00:00:00:00:08")
    assert str(found.headers.five_tuple.source if found.headers.five_tuple else "") == "10.9.9.9"
    assert not any("inventory" in note for note in found.notes)


def test_a_later_fragment_has_no_ports() -> None:
    found = typed("tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_frag=later")
    assert found.headers.fragment is Fragment.LATER
    assert "tp_src" not in found.notes[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ip,nw_src=10.0.0.1,nw_dst=10.0.0.2", "say tcp, udp, icmp"),
        ("tcp,nw_dst=10.0.0.2", "give nw_src"),
        ("tcp,nw_src=10.0.0.1", "give nw_dst"),
        ("tcp,nw_src=10.0.0.0/24,nw_dst=10.0.0.2", "many addresses"),
        (f"{WHOLE},nw_frag=later", "a later fragment has no ports"),
        (f"{WHOLE},nw_frag=yes", "in part only"),
        (f"{WHOLE},tcp_flags=+syn", "in part only"),
        (f"{WHOLE},dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", "in part only"),
        (f"{WHOLE},dl_dst=nobody", "not a MAC address"),
        (f"{WHOLE},nw_ttl=256", "does not fit"),
        (f"{WHOLE},tun_dst=192.0.2.1", "need tun_id"),
        ("udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tcp_flags=syn", "only TCP"),
        ("nw_ttl=5", "the filter is empty"),
    ],
)
def test_a_packet_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        typed(text)


def test_the_place_of_a_fault_is_that_in_the_text_as_typed() -> None:
    with pytest.raises(FilterError) as caught:
        typed("tcp,dl_dst=00:00:00:00:00:01,nw_dts=10.0.0.2")
    assert caught.value.position == len("tcp,dl_dst=00:00:00:00:00:01,")


def test_a_sender_without_addresses_does_not_help() -> None:
    bare = replace(PORTS[0], addresses=(), mac=None)
    topology = Topology((), (Bridge(BRIDGE, 1, BridgeRole.VSWITCH, (bare,), ManagementSocket("")),))
    with pytest.raises(UsageError, match="give nw_src"):
        typed_packet("tcp,nw_dst=10.0.0.2", None, topology.vm("web"), topology)
