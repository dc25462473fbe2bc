from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers, Tunnel
from vtrace_ovs.model.trajectory import HeaderChange
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.frame import FRAME, changes, headers_of, packed_state


def read(packed: int, *names: str) -> list[int]:
    return [layout.read(packed, name) for name in names]


def test_every_header_has_its_field(headers: Callable[..., Headers]) -> None:
    state = packed_state(headers(vlan=0x1005, ttl=9), 65534, None)
    assert read(state.packed, "in_port", "eth_src", "eth_type", "vlan_tci") == [0xFFFFFFFE, 1, 0x800, 0x1005]
    assert read(state.packed, "ip_proto", "ipv4_src", "ipv4_dst") == [6, 0x0A000001, 0x0A000002]
    assert read(state.packed, "tcp_src", "tcp_dst", "tcp_flags", "nw_ttl", "ip_frag") == [1000, 443, 2, 9, 0]
    assert state.unknown == layout.UNMODELLED


def test_icmp_type_and_code_lie_where_ports_do(headers: Callable[..., Headers]) -> None:
    five_tuple = FiveTuple(1, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))
    ping = replace(headers(), five_tuple=five_tuple, tcp_flags=None, icmp_type=8, icmp_code=0)
    assert read(packed_state(ping, 1, None).packed, "tcp_src", "tcp_dst") == [8, 0]


def test_what_the_capture_did_not_show_is_unknown(headers: Callable[..., Headers]) -> None:
    unknown = packed_state(replace(headers(), five_tuple=None, ttl=None, tcp_flags=None), 1, None).unknown
    assert unknown & layout.bits_of("ipv4_dst") == layout.bits_of("ipv4_dst")
    assert unknown & layout.bits_of("nw_ttl")
    assert not unknown & layout.bits_of("ip_dscp")


def test_a_later_fragment_has_known_ports_of_zero(headers: Callable[..., Headers]) -> None:
    whole = headers()
    assert whole.five_tuple is not None
    bare = replace(whole.five_tuple, source_port=None, destination_port=None)
    later = packed_state(replace(whole, five_tuple=bare, fragment=Fragment.LATER, tcp_flags=None), 1, None)
    assert read(later.packed, "ip_frag", "tcp_dst") == [3, 0]
    assert not later.unknown & layout.bits_of("tcp_dst")


def test_a_tunnel_sets_its_fields_and_leaves_its_flags_unknown(headers: Callable[..., Headers]) -> None:
    four = packed_state(headers(), 3, Tunnel(5001, IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")))
    assert read(four.packed, "tun_id", "tun_src", "tun_dst") == [5001, 0xC6120001, 0xC6120002]
    assert four.unknown & layout.bits_of("tun_flags")
    six = packed_state(headers(), 3, Tunnel(1, None, IPv6Address("2001:db8::1")))
    assert read(six.packed, "tun_ipv6_dst") == [int(IPv6Address("2001:db8::1"))]
    assert six.unknown & layout.bits_of("tun_src")


def test_ipv6_addresses_are_packed_and_the_flow_label_is_unknown(headers: Callable[..., Headers]) -> None:
    five_tuple = FiveTuple(17, IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"), 1, 53)
    six = packed_state(replace(headers(), eth_type=0x86DD, five_tuple=five_tuple, tcp_flags=None), 1, None)
    assert read(six.packed, "ipv6_dst", "tcp_dst") == [int(IPv6Address("2001:db8::2")), 53]
    assert six.unknown & layout.bits_of("ipv6_label")


def test_an_unchanged_packet_keeps_its_headers_and_a_rewritten_one_says_what_changed(
    headers: Callable[..., Headers],
) -> None:
    given = headers()
    before = packed_state(given, 1, None).packed
    assert headers_of(layout.replaced(before, "reg0", 7), before, given) is given
    assert changes(before, layout.replaced(before, "reg0", 7)) == ()
    after = layout.replaced(layout.replaced(before, "nw_ttl", 63), "ipv4_dst", 0x0A000909)
    after = layout.replaced(layout.replaced(after, "eth_dst", 0xFE), "vlan_tci", 0x1007)
    made = headers_of(layout.replaced(after, "tcp_dst", 80), before, given)
    assert made.five_tuple is not None
    assert (made.ttl, made.eth_dst, made.vlan_tci) == (63, "00:00:00:00:00:fe", 0x1007)
    assert (str(made.five_tuple.destination), made.five_tuple.destination_port) == ("10.0.9.9", 80)
    assert changes(before, layout.replaced(after, "tcp_dst", 80)) == (
        HeaderChange("eth_dst", "00:00:00:00:00:02", "00:00:00:00:00:fe"),
        HeaderChange("vlan_tci", "none", "4103"),
        HeaderChange("nw_ttl", "64", "63"),
        HeaderChange("nw_dst", "10.0.0.2", "10.0.9.9"),
        HeaderChange("tp_dst", "443", "80"),
    )


def test_of_a_frame_cut_short_before_its_addresses_nothing_is_known() -> None:
    state = packed_state(Headers("", "", 0, 9, payload=bytes(9)), 1, None)
    assert state.unknown & FRAME == FRAME
    assert read(state.packed, "in_port") == [1]


def test_what_a_translation_leaves_unknown_is_not_shown_as_it_was(headers: Callable[..., Headers]) -> None:
    before = headers()
    packed = packed_state(before, 1, None).packed
    port = headers_of(packed, packed, before, layout.bits_of("tcp_src")).five_tuple
    assert port is not None
    assert (port.source_port, port.destination_port) == (None, 443)
    assert headers_of(packed, packed, before, layout.bits_of("ipv4_src")).five_tuple is None
