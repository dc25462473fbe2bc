from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.filters.matching import accepts, accepts_five_tuple, overlap
from vtrace_ovs.filters.parser import parse
from vtrace_ovs.model.packet import FiveTuple, Headers

TCP = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5"), 1000, 443)
TCP6 = FiveTuple(6, IPv6Address("fd00::1"), IPv6Address("fd00:1::5"), 1000, 443)
ECHO = FiveTuple(1, IPv4Address("10.0.0.1"), IPv4Address("10.0.1.5"))


def headers(five_tuple: FiveTuple | None, eth_type: int = 0x0800, icmp_type: int | None = None) -> Headers:
    return Headers("02:00:00:00:00:01", "02:00:00:00:00:02", eth_type, 60, five_tuple=five_tuple, icmp_type=icmp_type)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ip", True),
        ("tcp", True),
        ("udp", False),
        ("tcp,nw_src=10.0.0.0/24,tp_dst=443", True),
        ("tcp,nw_src=10.0.9.0/24", False),
        ("tcp,nw_dst=10.0.1.6", False),
        ("tcp,tp_dst=444", False),
        ("tcp,tp_src=1000", True),
        ("icmp", False),
    ],
)
def test_each_part_of_the_filter_is_asked(text: str, expected: bool) -> None:
    assert accepts(parse(text), headers(TCP)) is expected


def test_icmp_type_is_asked_of_the_headers() -> None:
    assert accepts(parse("icmp,icmp_type=8"), headers(ECHO, icmp_type=8))
    assert not accepts(parse("icmp,icmp_type=8"), headers(ECHO, icmp_type=0))
    assert not accepts(parse("icmp,icmp_type=8"), headers(ECHO))


def test_a_filter_is_of_one_family() -> None:
    for text in ("ipv6", "tcp6,ipv6_src=fd00::/64,tp_dst=443", "ipv6_dst=fd00:1::5"):
        assert accepts(parse(text), headers(TCP6, eth_type=0x86DD))
        assert not accepts(parse(text), headers(TCP))
        assert not accepts_five_tuple(parse(text), TCP)
        assert not overlap(parse(text), parse("ip"))
        assert overlap(parse(text), parse("tcp6"))
    assert not accepts(parse("tcp"), headers(TCP6, eth_type=0x86DD))
    assert not accepts(parse("tcp6,ipv6_src=fd00:0:0:1::/64"), headers(TCP6, eth_type=0x86DD))
    assert not overlap(parse("ipv6_src=fd00::/64"), parse("ipv6_src=fd00:0:0:1::1"))


def test_what_is_not_readable_ip_never_matches() -> None:
    assert not accepts(parse("ip"), headers(None))
    assert not accepts(parse("ip"), headers(TCP, eth_type=0x86DD))


def test_a_later_fragment_has_no_ports_to_match() -> None:
    fragment = FiveTuple(6, TCP.source, TCP.destination)
    assert not accepts_five_tuple(parse("tcp,tp_dst=443"), fragment)
    assert accepts_five_tuple(parse("tcp"), fragment)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("ip", "tcp", True),
        ("tcp", "udp", False),
        ("nw_src=10.0.0.0/24", "nw_src=10.0.0.7", True),
        ("nw_src=10.0.0.0/24", "nw_src=10.0.1.0/24", False),
        ("nw_dst=10.0.0.0/24", "nw_dst=10.0.1.0/24", False),
        ("tcp,tp_dst=80", "tcp,tp_src=81", True),
        ("tcp,tp_dst=80", "tcp,tp_dst=81", False),
        ("tcp,tp_src=80", "tcp,tp_src=81", False),
        ("icmp,icmp_type=8", "icmp,icmp_type=0", False),
        ("icmp,icmp_code=8", "icmp,icmp_code=0", False),
    ],
)
def test_filters_overlap_when_one_packet_could_match_both(first: str, second: str, expected: bool) -> None:
    assert overlap(parse(first), parse(second)) is expected
    assert overlap(parse(second), parse(first)) is expected


TEXTS = st.sampled_from(
    [
        "ip",
        "tcp",
        "udp",
        "tcp,tp_dst=443",
        "tcp,tp_dst=80",
        "nw_src=10.0.0.0/31",
        "nw_src=10.0.0.2",
        "tcp,nw_dst=10.0.1.5",
    ]
)
TUPLES = st.builds(
    FiveTuple,
    st.sampled_from([6, 17]),
    st.sampled_from([IPv4Address(f"10.0.0.{n}") for n in range(4)]),
    st.sampled_from([IPv4Address("10.0.1.5"), IPv4Address("10.0.1.6")]),
    st.just(1000),
    st.sampled_from([80, 443]),
)


@given(TEXTS, TEXTS, TUPLES)
def test_a_packet_both_filters_accept_proves_their_overlap(first: str, second: str, five_tuple: FiveTuple) -> None:
    one, other = parse(first), parse(second)
    if accepts_five_tuple(one, five_tuple) and accepts_five_tuple(other, five_tuple):
        assert overlap(one, other)
