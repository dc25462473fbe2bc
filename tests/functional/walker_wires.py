"""Turns random choices into frames as they are on the wire, tunnelled or not, for walker and ``ofproto/trace``."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st
from walker_judge import LENGTH, TUNNEL_PORT

from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.model.packet import Headers, Tunnel
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.state import PacketState

PREFIX = 0xFD << 120
SOURCE = 9
"""Of every frame, and nobody's destination: ``ofproto/trace`` learns from a frame it is given (tried)."""
IPV4, IPV6, ARP, MPLS = 0x0800, 0x86DD, 0x0806, 0x8847
_LINK_HEADER = 14
_PORTS = st.sampled_from((1, 2, 3))
_TTL = st.sampled_from((1, 2, 64, 64))


@dataclass(frozen=True)
class Wire:
    """A frame that comes in by a port; the tunnel it was in, if it was in one."""

    in_port: int
    frame: bytes
    tunnel: Tunnel | None = None

    @property
    def headers(self) -> Headers:
        return headers(self.frame, LENGTH)

    @property
    def state(self) -> PacketState:
        return packed_state(self.headers, self.in_port, self.tunnel)

    @property
    def trace_words(self) -> tuple[str, ...]:
        inside = ""
        if self.tunnel is not None:
            version = "" if isinstance(self.tunnel.source, IPv4Address) else "ipv6_"
            ends = f"tun_{version}src={self.tunnel.source},tun_{version}dst={self.tunnel.destination}"
            inside = f",tun_id={self.tunnel.vni:#x},{ends}"
        return f"in_port={self.in_port}{inside}", self.frame.hex()


def ipv4(protocol: int, body: bytes, ends: tuple[int, int], ttl: int, *, fragment: int = 0, tos: int = 0) -> bytes:
    addresses = b"".join(IPv4Address(0x0A000000 | end).packed for end in ends)
    fixed = struct.pack("!BBHHHBB2x", 0x45, tos, 20 + len(body), 7, fragment, ttl, protocol)
    return IPV4.to_bytes(2) + fixed + addresses + body


def ipv6(protocol: int, body: bytes, ends: tuple[int, int], ttl: int, *, word: int = 0) -> bytes:
    """``word`` is traffic class and flow label."""
    addresses = b"".join(IPv6Address(PREFIX | end).packed for end in ends)
    return IPV6.to_bytes(2) + struct.pack("!IHBB", 6 << 28 | word, len(body), protocol, ttl) + addresses + body


def tcp(destination_port: int, flags: int = 2) -> bytes:
    return struct.pack("!HH8xHHHH", 1, destination_port, 5 << 12 | flags, 1024, 0, 0)


def udp(destination_port: int) -> bytes:
    return struct.pack("!HHHH", 1, destination_port, 8, 0)


def icmpv6(kind: int, code: int, body: bytes = bytes(4)) -> bytes:
    return bytes((kind, code, 0, 0)) + body


def link_option(kind: int, address: int, units: int = 1) -> bytes:
    return bytes((kind, units)) + address.to_bytes(6)


def arp(op: int, ends: tuple[int, int], macs: tuple[int, int], protocol: int = IPV4) -> bytes:
    sides = (mac.to_bytes(6) + IPv4Address(0x0A000000 | end).packed for mac, end in zip(macs, ends, strict=True))
    return ARP.to_bytes(2) + struct.pack("!HHBBH", 1, protocol, 6, 4, op) + b"".join(sides)


def labels(stack: list[tuple[int, int]], eth_type: int = MPLS) -> bytes:
    words = (label << 12 | 3 << 9 | (at == len(stack)) << 8 | ttl for at, (label, ttl) in enumerate(stack, 1))
    return eth_type.to_bytes(2) + b"".join(word.to_bytes(4) for word in words) + bytes(20)


_OPERATIONS = st.sampled_from((1, 2, 3, 0x101))
_ENDS = st.tuples(st.integers(1, 2), st.integers(1, 3))
_PORT = st.integers(0, 3)
_TRANSPORT = st.one_of(
    st.builds(tcp, _PORT, st.sampled_from((2, 0x10, 0x811))).map(lambda body: (6, body)),
    st.builds(udp, _PORT).map(lambda body: (17, body)),
    st.builds(udp, _PORT).map(lambda body: (132, body)),
)
_ECHO = st.sampled_from((8, 0)).map(lambda kind: (1, bytes((kind, 0, 0, 0)) + bytes(4)))
_OPTIONS = st.lists(
    st.builds(link_option, st.sampled_from((1, 1, 2, 14)), st.integers(0, 3), st.sampled_from((1, 1, 1, 0, 2))),
    max_size=2,
).map(b"".join)
_DISCOVERY = st.builds(
    lambda kind, code, target, options: (
        58, icmpv6(kind, code, bytes(4) + (PREFIX | target).to_bytes(16) + options),
    ),
    st.sampled_from((135, 136)), st.sampled_from((0, 0, 0, 1)), st.integers(1, 3), _OPTIONS,
)  # fmt: skip
_ECHO6 = st.sampled_from((128, 129)).map(lambda kind: (58, icmpv6(kind, 0)))
_FRAGMENTS = st.sampled_from((0, 0, 0, 0x4000, 0x2000, 0x2001, 1))
_TOS = st.sampled_from((0, 0, 3, 0x48))
_WORDS = st.sampled_from((0, 0, 0x12345, 3 << 20, 0x48 << 20 | 2))
BEHIND_LINK: dict[str, st.SearchStrategy[bytes]] = {
    "IPv4": st.builds(
        lambda upper, ends, ttl, fragment, tos: ipv4(upper[0], upper[1], ends, ttl, fragment=fragment, tos=tos),
        _TRANSPORT | _ECHO, _ENDS, _TTL, _FRAGMENTS, _TOS,
    ),
    "IPv6": st.builds(
        lambda upper, ends, ttl, word: ipv6(upper[0], upper[1], ends, ttl, word=word),
        _TRANSPORT | _ECHO6, _ENDS, _TTL, _WORDS,
    ),
    "discovery": st.builds(
        lambda upper, ends, ttl: ipv6(upper[0], upper[1], ends, ttl), _DISCOVERY, _ENDS, st.sampled_from((255, 1))
    ),
    "ARP": st.builds(arp, _OPERATIONS, _ENDS, st.tuples(_PORT, _PORT), st.sampled_from((IPV4, IPV4, IPV4, 0x9000))),
    "labels": st.builds(
        labels, st.lists(st.tuples(_PORT, _TTL), min_size=1, max_size=4), st.sampled_from((MPLS, MPLS, 0x8848))
    ),
}  # fmt: skip
_TAG = st.builds(
    lambda kind, tci: kind.to_bytes(2) + tci.to_bytes(2),
    st.sampled_from((0x8100, 0x8100, 0x88A8)), st.sampled_from((5, 6, 0x6005, 0)),
)  # fmt: skip
_TAGS = (
    st.sampled_from((0, 0, 0, 1, 2)).flatmap(lambda many: st.lists(_TAG, min_size=many, max_size=many)).map(b"".join)
)
_VTEPS = st.sampled_from((
    (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")), (IPv4Address("192.0.2.3"), IPv4Address("192.0.2.2")),
    (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")),
))  # fmt: skip
_TUNNELS = st.builds(lambda vni, ends: Tunnel(vni, *ends), st.integers(0, 3), _VTEPS)
_LINKS = st.sampled_from((2, 3, 4, 0xFFFFFFFFFFFF)).map(lambda address: address.to_bytes(6) + SOURCE.to_bytes(6))


def wires(kind: str) -> st.SearchStrategy[Wire]:
    """Frames of one kind, with tags and in tunnels now and then."""
    frames = st.builds(
        lambda link, tags, behind: (link + tags + behind).ljust(LENGTH, b"\0"), _LINKS, _TAGS, BEHIND_LINK[kind]
    )
    plain = st.builds(Wire, _PORTS, frames)
    return st.one_of(plain, plain, st.builds(Wire, st.just(TUNNEL_PORT), frames, _TUNNELS))
