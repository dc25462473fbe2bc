"""Turns the frame of an overlay packet on the wire into its tunnel and the headers inside: VXLAN, Geneve, GRE.

RFC 7348 §5, RFC 8926 §3.4, RFC 2784 and 2890. Anybody may send such frames, so nothing here raises.
"""

import struct
from dataclasses import dataclass

from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.model.packet import Fragment, Headers, IPAddress, IpProtocol

_VXLAN_PORTS, _GENEVE_PORT, _GRE = frozenset({4789, 8472}), 6081, 47
_WORDS = struct.Struct("!II")
_GRE_HEADER = struct.Struct("!HH")
_VNI_GIVEN = 0x0800_0000
_OPTIONS = 0x3F
_CHECKSUM, _KEY, _SEQUENCE = 0x8000, 0x2000, 0x1000
_ETHERNET_INSIDE = 0x6558


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """A packet in a tunnel: the outer addresses, the VNI, and the packet's own headers."""

    source: IPAddress
    destination: IPAddress
    vni: int
    headers: Headers


def encapsulated(frame: bytes, total_length: int) -> Encapsulated | None:
    """What is inside a frame (``total_length`` bytes on the wire); None if it is no overlay packet, or unreadable."""
    outer = headers(frame, total_length)
    if outer.five_tuple is None or outer.fragment is not Fragment.NO:
        return None
    inside = _behind_tunnel_header(outer)
    if inside is None:
        return None
    vni, inner = inside
    own = headers(inner, len(inner) + max(0, total_length - len(frame)))
    return Encapsulated(outer.five_tuple.source, outer.five_tuple.destination, vni, own)


def _behind_tunnel_header(outer: Headers) -> tuple[int, bytes] | None:
    """VNI and inner frame."""
    packet, ends = outer.payload, outer.five_tuple
    if ends is None:
        return None
    if ends.protocol == _GRE:
        return _behind_gre(packet)
    if ends.protocol != IpProtocol.UDP or len(packet) < _WORDS.size:
        return None
    first, second = _WORDS.unpack_from(packet)
    if ends.destination_port in _VXLAN_PORTS and first & _VNI_GIVEN:
        return second >> 8, packet[_WORDS.size :]
    if ends.destination_port == _GENEVE_PORT and first & 0xFFFF == _ETHERNET_INSIDE:
        return second >> 8, packet[_WORDS.size + 4 * (first >> 24 & _OPTIONS) :]
    return None


def _behind_gre(packet: bytes) -> tuple[int, bytes] | None:
    if len(packet) < _GRE_HEADER.size:
        return None
    flags, protocol = _GRE_HEADER.unpack_from(packet)
    at = _GRE_HEADER.size + (4 if flags & _CHECKSUM else 0)
    if protocol != _ETHERNET_INSIDE or not flags & _KEY:
        return None
    key = int.from_bytes(packet[at : at + 4])
    return key, packet[at + 4 + (4 if flags & _SEQUENCE else 0) :]
