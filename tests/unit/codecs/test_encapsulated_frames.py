from ipaddress import IPv4Address

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from vtrace_ovs.codecs.encapsulated_frames import encapsulated
from vtrace_ovs.codecs.frames import headers

INNER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=443)
OUTER = Ether() / IP(src="198.18.7.1", dst="198.18.7.2")


def inside(tunnel: Packet) -> bytes:
    return bytes(OUTER / tunnel / INNER)


@pytest.mark.parametrize(
    "tunnel",
    [
        UDP(sport=50000, dport=4789) / VXLAN(vni=401, flags=8),
        UDP(sport=50000, dport=6081) / GENEVE(vni=401, proto=0x6558),
        GRE(key_present=1, key=401, proto=0x6558),
        GRE(chksum_present=1, key_present=1, seqnum_present=1, key=401, sequence_number=5, proto=0x6558),
    ],
    ids=["vxlan", "geneve", "gre", "gre with everything"],
)
def test_what_is_inside_a_tunnel_is_read(tunnel: Packet) -> None:
    frame = inside(tunnel)
    found = encapsulated(frame, len(frame))
    assert found is not None
    assert (found.source, found.destination) == (IPv4Address("198.18.7.1"), IPv4Address("198.18.7.2"))
    assert found.vni == 401
    assert found.headers == headers(bytes(INNER), len(bytes(INNER)))


def test_options_of_geneve_are_passed_over() -> None:
    frame = inside(Raw(bytes(UDP(sport=1, dport=6081))[:8] + b"\x02\x00\x65\x58\x00\x01\x91\x00" + bytes(8)))
    # scapy does not know that the raw bytes are UDP
    frame = frame[:23] + b"\x11" + frame[24:]
    found = encapsulated(frame, len(frame))
    assert found is not None
    assert found.headers.five_tuple is not None
    assert found.headers.five_tuple.destination_port == 443


def test_a_frame_that_was_cut_short_keeps_its_length() -> None:
    frame = inside(UDP(dport=4789) / VXLAN(vni=401, flags=8))
    found = encapsulated(frame[:90], len(frame))
    assert found is not None
    assert found.headers.length == len(bytes(INNER))


def test_the_underlay_may_be_of_ipv6() -> None:
    frame = bytes(Ether() / IPv6(src="fd31::1", dst="fd31::2") / UDP(dport=4789) / VXLAN(vni=9, flags=8) / INNER)
    found = encapsulated(frame, len(frame))
    assert found is not None
    assert (str(found.source), found.vni) == ("fd31::1", 9)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(INNER),
        bytes(OUTER / UDP(dport=4789)),
        bytes(OUTER / UDP(dport=4789) / Raw(bytes(8))),
        bytes(OUTER / UDP(dport=53) / VXLAN(vni=1, flags=8) / INNER),
        bytes(OUTER / GRE(proto=0x0800) / IP()),
        bytes(OUTER / GRE(proto=0x6558) / INNER),
        bytes(Ether() / IP(flags="MF", proto=17) / Raw(bytes(64))),
    ],
)
def test_other_frames_are_no_overlay_packets(frame: bytes) -> None:
    assert encapsulated(frame, len(frame)) is None
