from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.errors import FilterError, UsageError
from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.filters.parser import parse
from vtrace_ovs.filters.vocabulary import FIELDS, KEYWORDS, REFUSED
from vtrace_ovs.model.filter import Filter, IPNetwork
from vtrace_ovs.model.packet import IpFamily

PORTS = st.none() | st.integers(0, 65535)
OCTETS = st.none() | st.integers(0, 255)


@st.composite
def networks(draw: st.DrawFn, family: IpFamily) -> IPNetwork | None:
    bits, kind = (32, IPv4Network) if family is IpFamily.IPV4 else (128, IPv6Network)
    length = draw(st.integers(0, bits))
    if length == 0:
        return None
    return kind((draw(st.integers(0, (1 << length) - 1)) << (bits - length), length))


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    family = draw(st.sampled_from(IpFamily))
    icmp = 1 if family is IpFamily.IPV4 else 58
    protocol = draw(st.none() | st.sampled_from([icmp, 6, 17]) | st.integers(1, 255))
    with_ports, with_icmp = protocol in {6, 17}, protocol == icmp
    bare = Filter(
        "",
        protocol,
        draw(networks(family)),
        draw(networks(family)),
        draw(PORTS) if with_ports else None,
        draw(PORTS) if with_ports else None,
        draw(OCTETS) if with_icmp else None,
        draw(OCTETS) if with_icmp else None,
        family,
    )
    return replace(bare, text=canonical_text(bare))


def fault(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        parse(text)
    return caught.value


def framed(error: FilterError) -> str:
    return error.text[error.position : error.position + error.length]


@given(filters())
def test_canonical_text_parses_back_to_the_same_filter(filter_: Filter) -> None:
    assert parse(filter_.text) == filter_


WORDS = st.sampled_from(
    [*FIELDS, *KEYWORDS, *REFUSED, "=", ",", " ", "/", "any", "*", "10.0.0.1", "24", "0x", "::1", "fd00::"]
)


def parsed_or_fault(text: str) -> Filter | FilterError:
    try:
        return parse(text)
    except FilterError as error:
        return error


@given(st.text() | st.lists(WORDS).map("".join))
def test_any_text_is_a_filter_or_a_fault_with_a_place_in_it(text: str) -> None:
    outcome = parsed_or_fault(text)
    if isinstance(outcome, Filter):
        assert parse(outcome.text) == outcome
    else:
        assert 0 <= outcome.position <= len(text)
        assert len(outcome.with_caret().splitlines()) == 3
        assert outcome.with_caret().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443", "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443"),
        (" TCP , IP_SRC = 10.0.0.0/255.255.255.0 , Tcp_Dst = 0x1BB ", "tcp,nw_src=10.0.0.0/24,tp_dst=443"),
        ("udp udp_src=53 ip_dst=10.0.1.5/32", "udp,nw_dst=10.0.1.5,tp_src=53"),
        ("tp_dst=443,nw_dst=10.0.1.5,tcp", "tcp,nw_dst=10.0.1.5,tp_dst=443"),
        ("icmp,icmp_type=8,icmp_code=0", "icmp,icmp_type=8,icmp_code=0"),
        ("nw_proto=6,tcp_src=1", "tcp,tp_src=1"),
        ("dl_type=0x0800,ip_proto=17", "udp"),
        ("ip,tcp,nw_proto=6", "tcp"),
        ("ip,nw_proto=47,ipv4_src=10.0.0.1", "ip,nw_proto=47,nw_src=10.0.0.1"),
        ("sctp", "ip,nw_proto=132"),
        ("nw_src=any,tcp,tp_dst=*,nw_dst=0.0.0.0/0", "tcp"),
        ("ip", "ip"),
        (
            "tcp6,ipv6_src=FD00:0:0:1::1,ipv6_dst=fd00::/64,tp_dst=443",
            "tcp6,ipv6_src=fd00:0:0:1::1,ipv6_dst=fd00::/64,tp_dst=443",
        ),
        ("udp6 ipv6_dst=2001:db8:0:0:1:0:0:1/128 udp_src=53", "udp6,ipv6_dst=2001:db8::1:0:0:1,tp_src=53"),
        ("icmpv6_type=135,icmp6,icmpv6_code=0", "icmp6,icmp_type=135,icmp_code=0"),
        ("nw_proto=6,ipv6_src=fd00::/ffff::,tp_dst=1", "tcp6,ipv6_src=fd00::/16,tp_dst=1"),
        ("dl_type=0x86dd,ip_proto=58,icmp_type=128", "icmp6,icmp_type=128"),
        ("ipv6_src=::/0,ipv6_dst=::ffff:10.0.0.1", "ipv6,ipv6_dst=::ffff:10.0.0.1"),
        ("sctp6", "ipv6,nw_proto=132"),
        ("ipv6,nw_proto=1", "ipv6,nw_proto=1"),
    ],
)
def test_every_spelling_of_ovs_gives_the_canonical_text(text: str, canonical: str) -> None:
    assert parse(text).text == canonical


def test_numbers_and_prefixes_land_in_their_fields() -> None:
    assert parse("udp,nw_src=10.0.0.0/8,nw_dst=10.0.1.5,tp_src=1,tp_dst=2") == Filter(
        "udp,nw_src=10.0.0.0/8,nw_dst=10.0.1.5,tp_src=1,tp_dst=2",
        17,
        IPv4Network("10.0.0.0/8"),
        IPv4Network("10.0.1.5/32"),
        1,
        2,
    )


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("tcp,nw_scr=10.0.0.1", "nw_scr", "did you mean nw_src?"),
        ("tcp,zzz=1", "zzz", "use nw_proto, nw_src"),
        ("nw_src=10.0.0.300", "10.0.0.300", "needs an IPv4 address"),
        ("nw_src=", "", "needs an IPv4 address"),
        ("nw_src", "nw_src", "needs a value"),
        ("tcp=6", "tcp", "takes no value"),
        ("tcp,tp_dst=https", "https", "needs a number from 0 to 65535"),
        ("tcp,tp_dst=65536", "65536", "from 0 to 65535"),
        ("tcp,tp_dst=80/0xfff0", "80/0xfff0", "cannot be masked"),
        ("nw_proto=0", "0", "from 1 to 255"),
        ("nw_src=10.0.0.1,ip_src=10.0.0.1", "ip_src=10.0.0.1", "given twice, as nw_src before"),
        ("tcp,tcp", "tcp", "tcp is given twice"),
        ("tcp,udp", "udp", "udp contradicts tcp"),
        ("tcp,nw_proto=17", "nw_proto=17", "udp contradicts tcp"),
        ("tp_dst=443", "tp_dst=443", "needs tcp or udp: write tcp,tp_dst=443"),
        ("udp,tcp_dst=443", "tcp_dst=443", "is for tcp, not udp"),
        ("nw_proto=47,tp_dst=1", "tp_dst=1", "is for tcp or udp, not nw_proto=47"),
        ("icmp_type=8", "icmp_type=8", "needs icmp: write icmp,icmp_type=8"),
        ("tcp,icmp_code=0", "icmp_code=0", "is for icmp, not tcp"),
        ("nw_src=10.0.0.1/24", "10.0.0.1/24", "write 10.0.0.0/24 for the network, or 10.0.0.1"),
        ("nw_src=10.0.0.1/255.255.0.0", "10.0.0.1/255.255.0.0", "write 10.0.0.0/16"),
        ("nw_src=10.0.0.0/255.0.255.0", "10.0.0.0/255.0.255.0", "netmask with gaps"),
        ("nw_src=10.0.0.0/33", "10.0.0.0/33", "longer than 32 bits"),
        ("nw_dst=fe80::1", "fe80::1", "IPv6 addresses go into ipv6_src and ipv6_dst"),
        ("tcp6,ipv6_dst=10.0.0.1", "10.0.0.1", "IPv4 addresses go into nw_src and nw_dst"),
        ("ipv6_src=fd00::1::", "fd00::1::", "needs an IPv6 address such as fd00::1"),
        ("ipv6_src=fe80::1%eth0", "fe80::1%eth0", "write fe80::1"),
        ("ipv6_src=fd00::1/64", "fd00::1/64", "write fd00::/64 for the network, or fd00::1"),
        ("ipv6_src=fd00::/129", "fd00::/129", "longer than 128 bits"),
        ("ipv6_src=fd00::/ffff::ffff", "fd00::/ffff::ffff", "netmask with gaps"),
        ("tcp,ipv6_dst=fd00::1", "ipv6_dst=fd00::1", "ipv6_dst is IPv6, tcp is not"),
        ("ipv6_dst=fd00::1,tcp", "tcp", "tcp is IPv4, ipv6_dst is not: no packet is both (ipv6, tcp6"),
        ("nw_src=10.0.0.1,ipv6_dst=fd00::1", "ipv6_dst=fd00::1", "nw_src is not"),
        ("nw_src=any,ipv6_src=fd00::1", "ipv6_src=fd00::1", "ipv6_src is IPv6, nw_src is not"),
        ("tcp6,tcp", "tcp", "tcp is IPv4, tcp6 is not"),
        ("ip,dl_type=0x86dd", "dl_type=0x86dd", "dl_type is IPv6, ip is not"),
        ("tcp6,nw_proto=17", "nw_proto=17", "udp6 contradicts tcp6"),
        ("icmp,icmpv6_type=128", "icmpv6_type=128", "icmpv6_type is IPv6, icmp is not"),
        ("icmpv6_type=128", "icmpv6_type=128", "needs icmp6: write icmp6,icmpv6_type=128"),
        ("ipv6,nw_proto=1,icmp_type=8", "icmp_type=8", "is for icmp6, not nw_proto=1"),
        ("ip,nw_proto=58,icmp_type=8", "icmp_type=8", "is for icmp, not nw_proto=58"),
        ("ipv6,tp_dst=80", "tp_dst=80", "needs tcp6 or udp6: write tcp6,tp_dst=80"),
        ("ipv6,ipv6_label=5", "ipv6_label", "not part of a five-tuple"),
        ("arp", "arp", "not IP"),
        ("eth_type=0x0806", "eth_type=0x0806", "is not IP"),
        ("tcp,in_port=3", "in_port", "--from"),
        ("tcp,tun_id=7", "tun_id", "--vni"),
        ("tcp,reg15=1", "reg15", "not part of a five-tuple"),
        ("tcp,priority=1", "priority", "belongs to a flow"),
        ("tcp,,udp", ",", "a field name was expected"),
        ("tcp,", ",", "expected after the comma"),
        ("tcp,tp_dst=1=2", "=", "only one = per field"),
        ("", "", "the filter is empty"),
        (" \t ", " ", "the filter is empty"),
    ],
)
def test_a_fault_is_named_and_framed(text: str, place: str, words: str) -> None:
    error = fault(text)
    assert words in str(error)
    assert framed(error) == place


def test_a_fault_is_a_usage_error_with_a_caret_under_it() -> None:
    error = fault("tcp,tp_dst=70000")
    assert isinstance(error, UsageError)
    assert error.with_caret().splitlines()[1:] == ["  tcp,tp_dst=70000", "             ^^^^^"]


def test_terminal_escapes_in_a_filter_are_not_printed_back() -> None:
    assert "\x1b" not in fault("tcp,\x1b[31m=1").with_caret()
