import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.model.packet import FiveTuple, Fragment, NeighbourQuestion

MACS = bytes.fromhex("0e0000000002 0e0000000001")
SOURCE, DESTINATION = IPv4Address("10.0.0.1"), IPv4Address("10.0.1.2")
SOURCE6, DESTINATION6 = IPv6Address("fe80::1"), IPv6Address("fe80::2")


def ipv4(protocol: int, body: bytes, fragment: int = 0, tos: int = 0, options: bytes = b"") -> bytes:
    first = 0x45 + len(options) // 4
    length = 20 + len(options) + len(body)
    head = struct.pack("!BBHHHBBH", first, tos, length, 0x1234, fragment, 63, protocol, 0)
    return MACS + b"\x08\x00" + head + SOURCE.packed + DESTINATION.packed + options + body


def tcp(payload: bytes = b"hello", options: bytes = b"") -> bytes:
    offset = (20 + len(options)) // 4 << 12
    return struct.pack("!HHIIHHHH", 40000, 443, 7, 8, offset | 0x18, 1000, 0, 0) + options + payload


def ipv6(protocol: int, body: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28 | 0xB9 << 20 | 0xBEEF5, len(body), protocol, 64)
    ends = SOURCE6.packed + DESTINATION6.packed
    return MACS + b"\x86\xdd" + head + ends + body


@given(st.binary(max_size=200), st.integers(0, 65535))
def test_no_bytes_can_make_it_raise(frame: bytes, total_length: int) -> None:
    assert headers(frame, total_length).length == total_length


@given(st.sampled_from([ipv4(6, tcp()), ipv6(58, bytes(20)), ipv6(0, bytes(24))]), st.data())
def test_no_cut_or_flipped_byte_can_make_it_raise(frame: bytes, data: st.DataObject) -> None:
    cut = bytearray(frame[: data.draw(st.integers(0, len(frame)))])
    if cut:
        cut[data.draw(st.integers(0, len(cut) - 1))] = data.draw(st.integers(0, 255))
    headers(bytes(cut), len(frame))


def test_a_tcp_segment_reads_in_full() -> None:
    frame = ipv4(6, tcp(options=bytes(12)), fragment=0x4000, tos=0xB9, options=bytes(4))
    seen = headers(frame, len(frame))
    assert (seen.eth_src, seen.eth_dst, seen.eth_type) == ("0e:00:00:00:00:01", "0e:00:00:00:00:02", 0x0800)
    assert seen.five_tuple == FiveTuple(6, SOURCE, DESTINATION, 40000, 443)
    assert (seen.dscp, seen.ecn, seen.ttl, seen.ip_id) == (46, 1, 63, 0x1234)
    assert (seen.dont_fragment, seen.fragment) == (True, Fragment.NO)
    assert (seen.tcp_seq, seen.tcp_ack, seen.tcp_flags) == (7, 8, 0x18)
    assert seen.payload == b"hello"


def test_ethernet_padding_is_not_payload() -> None:
    frame = ipv4(17, struct.pack("!HHHH", 5, 6, 9, 0) + b"x") + bytes(17)
    seen = headers(frame, len(frame))
    assert (seen.udp_length, seen.payload) == (9, b"x")


def test_an_echo_request_has_id_and_sequence() -> None:
    seen = headers(ipv4(1, struct.pack("!BBHHH", 8, 0, 0, 77, 3) + b"ping"), 60)
    assert (seen.icmp_type, seen.icmp_code, seen.icmp_id, seen.icmp_seq, seen.payload) == (8, 0, 77, 3, b"ping")
    assert seen.five_tuple == FiveTuple(1, SOURCE, DESTINATION)


def test_an_unreachable_message_has_no_id() -> None:
    seen = headers(ipv4(1, struct.pack("!BBHI", 3, 1, 0, 0) + b"inner"), 60)
    assert (seen.icmp_type, seen.icmp_code, seen.icmp_id) == (3, 1, None)


def test_a_later_fragment_has_no_ports() -> None:
    seen = headers(ipv4(6, tcp(), fragment=0x0010), 60)
    assert seen.fragment is Fragment.LATER
    assert seen.five_tuple == FiveTuple(6, SOURCE, DESTINATION)
    assert seen.tcp_flags is None


def test_a_first_fragment_has_ports() -> None:
    seen = headers(ipv4(6, tcp(), fragment=0x2000), 60)
    assert (seen.fragment, seen.tcp_flags) == (Fragment.FIRST, 0x18)


@pytest.mark.parametrize(("most", "inner", "eth_type"), [(2, 0x1065, 0x0800), (1, None, 0x8100)])
def test_behind_more_tags_than_open_vswitch_looks_behind_all_is_payload(
    most: int, inner: int | None, eth_type: int
) -> None:
    untagged = ipv4(6, tcp())
    tagged = untagged[:12] + bytes.fromhex("88a8 6064 8100 0065 0800") + untagged[14:]
    seen = headers(tagged, len(tagged), most)
    assert (seen.vlan_tci, seen.inner_vlan_tci, seen.eth_type) == (0x7064, inner, eth_type)
    assert (seen.five_tuple is not None) == (most == 2)


def test_a_tag_is_read_with_its_present_bit_and_the_inner_type() -> None:
    untagged = ipv4(6, tcp())
    tagged = untagged[:12] + bytes.fromhex("8100 6064 0800") + untagged[14:]
    seen = headers(tagged, len(tagged))
    assert (seen.vlan_tci, seen.eth_type) == (0x7064, 0x0800)
    assert seen.five_tuple is not None


def test_arp_has_no_five_tuple() -> None:
    seen = headers(MACS + b"\x08\x06" + bytes(28), 42)
    assert (seen.eth_type, seen.five_tuple, seen.dscp) == (0x0806, None, None)


def test_a_frame_shorter_than_ethernet_is_all_payload() -> None:
    assert headers(b"\x01\x02", 2).payload == b"\x01\x02"


def test_a_tcp_header_cut_behind_its_ports_still_gives_the_ports() -> None:
    seen = headers(ipv4(6, tcp())[: 14 + 20 + 8], 60)
    assert seen.five_tuple == FiveTuple(6, SOURCE, DESTINATION, 40000, 443)
    assert seen.tcp_seq is None


def test_ipv6_ports_are_found_behind_extension_headers() -> None:
    extended = bytes([43, 0]) + bytes(6) + bytes([6, 0]) + bytes(6) + tcp()
    seen = headers(ipv6(0, extended), 200)
    assert seen.five_tuple == FiveTuple(6, SOURCE6, DESTINATION6, 40000, 443)
    assert (seen.dscp, seen.ecn, seen.ttl, seen.ip_id, seen.flow_label) == (46, 1, 64, None, 0xBEEF5)


def test_ipv6_ports_are_found_behind_any_number_of_extension_headers() -> None:
    options = (bytes([60, 0]) + bytes(6)) * 20 + bytes([6, 0]) + bytes(6)
    seen = headers(ipv6(60, options + tcp()), 300)
    assert seen.five_tuple == FiveTuple(6, SOURCE6, DESTINATION6, 40000, 443)


@pytest.mark.parametrize("rest", [b"\x06", b"\x06\xff" + bytes(14), b"\x06\x01" + bytes(6)])
@pytest.mark.parametrize("extension", [0, 43, 60, 51])
def test_the_protocol_of_a_packet_that_ends_in_an_extension_header_is_zero(extension: int, rest: bytes) -> None:
    seen = headers(ipv6(extension, rest), 60)
    assert seen.five_tuple == FiveTuple(0, SOURCE6, DESTINATION6)


def test_an_authentication_header_counts_in_words_of_four_bytes() -> None:
    seen = headers(ipv6(51, bytes([60, 4]) + bytes(22) + bytes([6, 0]) + bytes(6) + tcp()), 200)
    assert seen.five_tuple == FiveTuple(6, SOURCE6, DESTINATION6, 40000, 443)


def test_a_later_ipv6_fragment_has_no_ports_and_the_protocol_ovs_gives_it() -> None:
    seen = headers(ipv6(44, bytes([17, 0, 0, 8, 0, 0, 0, 7]) + b"rest"), 200)
    assert (seen.fragment, seen.ip_id, seen.payload) == (Fragment.LATER, 7, b"rest")
    assert seen.five_tuple == FiveTuple(44, SOURCE6, DESTINATION6)


def test_an_icmpv6_echo_has_id_and_sequence() -> None:
    seen = headers(ipv6(58, struct.pack("!BBHHH", 128, 0, 0, 5, 6)), 62)
    assert (seen.icmp_type, seen.icmp_id, seen.icmp_seq) == (128, 5, 6)


def test_an_arp_request_is_a_question_for_a_neighbour() -> None:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + MACS[:6] + SOURCE.packed + bytes(6) + DESTINATION.packed
    assert headers(MACS + b"\x08\x06" + body, 42).question == NeighbourQuestion(DESTINATION, SOURCE)


def test_a_neighbour_solicitation_is_a_question_for_a_neighbour() -> None:
    target = IPv6Address("fe80::9")
    question = headers(ipv6(58, b"\x87" + bytes(7) + target.packed), 78).question
    assert question == NeighbourQuestion(target, SOURCE6)
