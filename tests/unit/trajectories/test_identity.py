from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers
from vtrace_ovs.trajectories.identity import packet_id

BASE = Headers(
    eth_src="02:00:00:00:00:01",
    eth_dst="02:00:00:00:00:02",
    eth_type=0x0800,
    length=1514,
    five_tuple=FiveTuple(17, IPv4Address("10.0.1.11"), IPv4Address("10.0.1.13"), 4000, 5000),
    dscp=10,
    ecn=1,
    ttl=64,
    ip_id=4711,
    udp_length=1480,
    payload=bytes(range(200)),
)

EARLIER = ["384e7357920db109", "c36a61b9b82e9038", "3f3c22eb11cb6784", "80b28b37408ec232", "2d2c2ebc03f6f459"]


@given(
    ttl=st.integers(1, 255),
    dscp=st.integers(0, 63),
    ecn=st.integers(0, 3),
    mac=st.sampled_from(["02:00:00:00:00:07", "ff:ff:ff:ff:ff:ff"]),
    source=st.ip_addresses(v=4),
    port=st.integers(0, 65535),
    captured=st.integers(64, 200),
)
def test_identity_survives_what_vfds_rewrite(  # noqa: PLR0913, PLR0917 - one per rewritten field
    ttl: int, dscp: int, ecn: int, mac: str, source: IPv4Address, port: int, captured: int
) -> None:
    rewritten = replace(
        BASE,
        ttl=ttl,
        dscp=dscp,
        ecn=ecn,
        eth_src=mac,
        eth_dst=mac,
        five_tuple=FiveTuple(17, source, IPv4Address("192.0.2.1"), port, 53),
        payload=BASE.payload[:captured],
    )
    assert packet_id(rewritten) == packet_id(BASE)


def test_a_vlan_tag_on_the_way_changes_nothing() -> None:
    assert packet_id(replace(BASE, vlan_tci=0x1064, length=BASE.length + 4)) == packet_id(BASE)


def test_every_invariant_tells_packets_apart() -> None:
    others = [
        replace(BASE, ip_id=4712),
        replace(BASE, udp_length=1481),
        replace(BASE, payload=b"\xff" + BASE.payload[1:]),
        replace(BASE, length=1513),
        replace(BASE, tcp_seq=1),
        replace(BASE, tcp_ack=1),
        replace(BASE, tcp_flags=1),
        replace(BASE, icmp_type=8),
        replace(BASE, icmp_id=8),
        replace(BASE, icmp_seq=8),
        replace(BASE, five_tuple=FiveTuple(6, IPv4Address("10.0.1.11"), IPv4Address("10.0.1.13"), 4000, 5000)),
        replace(BASE, five_tuple=None),
        replace(BASE, flow_label=0),
        replace(BASE, flow_label=1),
    ]
    assert len({packet_id(headers) for headers in [BASE, *others]}) == len(others) + 1


def test_the_payload_prefix_is_what_every_hop_captures() -> None:
    short = replace(BASE, payload=BASE.payload[:20])
    assert packet_id(short) != packet_id(BASE)
    assert packet_id(short, payload_prefix=20) == packet_id(BASE, payload_prefix=20)


def test_an_identity_is_sixteen_hexadecimal_digits() -> None:
    assert len(packet_id(BASE)) == 16
    assert int(packet_id(BASE), 16) >= 0


def test_equal_ipv6_packets_look_the_same_unless_their_flow_label_differs() -> None:
    """There is no IP ID to tell them apart: ``stitch`` does by occurrence, or calls them ambiguous."""
    ends = (IPv6Address("fd00::1"), IPv6Address("fd00::2"))
    six = replace(BASE, eth_type=0x86DD, ip_id=None, five_tuple=FiveTuple(17, *ends, 4000, 5000), flow_label=7)
    routed = replace(six, ttl=BASE.ttl - 1 if BASE.ttl else None, dscp=46, eth_src="02:00:00:00:00:09")
    assert packet_id(routed) == packet_id(six)
    assert packet_id(replace(six, flow_label=8)) != packet_id(six)


def test_identities_are_those_that_earlier_versions_stored() -> None:
    fragment = replace(BASE, fragment=Fragment.LATER, fragment_offset=185, udp_length=None)
    echo = replace(BASE, ip_id=None, flow_label=7, udp_length=None, icmp_type=128, icmp_code=0, icmp_id=5, icmp_seq=1)
    tcp = replace(BASE, udp_length=None, tcp_seq=1, tcp_ack=2, tcp_flags=0x18, vlan_tci=0x1064)
    arp = Headers("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", 0x0806, 42)
    assert [packet_id(headers) for headers in (BASE, fragment, echo, tcp, arp)] == EARLIER
