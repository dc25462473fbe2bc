"""Turns captured Ethernet frames into headers; tenants write them, so nothing here raises (RFC 791, 8200, 9293).

What OVS looks behind for the upper protocol of IPv6 (RFC 4302 too) is looked behind here.
"""

import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from vtrace_ovs.codecs.neighbour_questions import arp_question, solicitation
from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers, IPAddress, IpProtocol

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBB2x4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_TCP = struct.Struct("!HHIIH")
_PORTS = struct.Struct("!HH")
_UDP = struct.Struct("!HHH2x")
_ICMP = struct.Struct("!BB2x")
_ICMP_ECHO = struct.Struct("!HH")
_VLAN_TYPES = frozenset({0x8100, 0x88A8})
_ARP_TYPE = 0x0806
_IPV4_TYPE = 0x0800
_IPV6_TYPE = 0x86DD
_FLOW_LABEL = 0xFFFFF
_VLAN_PRESENT = 0x1000
MOST_TAGS = 2
"""VLAN tags Open vSwitch 3.1 can look behind (``FLOW_MAX_VLAN_HEADERS``); by default it looks behind one."""
_DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000
_FRAGMENT_OFFSET = 0x1FFF
_TCP_LEAST = 20
_SCTP = 132
# Looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every packet-in.
_TCP_PROTOCOL, _UDP_PROTOCOL, _ICMPV6 = int(IpProtocol.TCP), int(IpProtocol.UDP), int(IpProtocol.ICMPV6)
_WHOLE, _FIRST, _LATER = Fragment.NO, Fragment.FIRST, Fragment.LATER
_WITH_ID = {int(IpProtocol.ICMP): frozenset({0, 8, 13, 14, 15, 16, 17, 18}), _ICMPV6: frozenset({128, 129})}
_FRAGMENT_V6 = 44
_AUTHENTICATION = 51
_EXTENSIONS_V6 = frozenset({0, 43, 60, _FRAGMENT_V6, _AUTHENTICATION})

_ipv4_address = lru_cache(maxsize=65536)(IPv4Address)
_ipv6_address = lru_cache(maxsize=65536)(IPv6Address)


class _Transport(NamedTuple):
    source_port: int | None = None
    destination_port: int | None = None
    tcp_seq: int | None = None
    tcp_ack: int | None = None
    tcp_flags: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    udp_length: int | None = None
    payload: bytes = b""


class _Network(NamedTuple):
    protocol: int
    source: IPAddress
    destination: IPAddress
    traffic_class: int
    ttl: int
    ip_id: int | None
    dont_fragment: bool
    fragment: Fragment
    body: bytes
    fragment_offset: int = 0
    flow_label: int | None = None


def headers(frame: bytes, total_length: int, most_tags: int = MOST_TAGS) -> Headers:
    """The headers of one Ethernet frame, which may be cut short; ``total_length`` is its length on the wire.

    Open vSwitch looks behind ``most_tags`` VLAN tags (its ``vlan-limit``): ``eth_type`` is what follows them, which of
    a packet with more is that of a tag, and all behind it is payload. Addresses are empty and ``eth_type`` zero when
    not even the Ethernet header was captured. Ethernet padding is not payload. Never raises.
    """
    if len(frame) < _ETHERNET.size:
        return Headers("", "", 0, total_length, payload=bytes(frame))
    destination, source, eth_type = _ETHERNET.unpack_from(frame)
    offset = _ETHERNET.size
    tags: list[int] = []
    while eth_type in _VLAN_TYPES and len(tags) < most_tags and len(frame) >= offset + 4:
        tci, eth_type = _PORTS.unpack_from(frame, offset)
        tags.append(tci | _VLAN_PRESENT)
        offset += 4
    vlan_tci, inner_vlan_tci, *_ = *tags, None, None
    network = _network(eth_type, frame, offset)
    if network is None:
        return Headers(
            source.hex(":"),
            destination.hex(":"),
            eth_type,
            total_length,
            vlan_tci,
            payload=bytes(frame[offset:]),
            question=arp_question(bytes(frame[offset:])) if eth_type == _ARP_TYPE else None,
            inner_vlan_tci=inner_vlan_tci,
        )
    transport = _transport(network)
    return Headers(
        source.hex(":"),
        destination.hex(":"),
        eth_type,
        total_length,
        vlan_tci,
        FiveTuple(network.protocol, network.source, network.destination, *transport[:2]),
        network.traffic_class >> 2,
        network.traffic_class & 3,
        network.ttl,
        network.ip_id,
        network.dont_fragment,
        network.fragment,
        *transport[2:],
        flow_label=network.flow_label,
        fragment_offset=network.fragment_offset,
        question=solicitation(network.source, network.body) if network.protocol == _ICMPV6 else None,
        inner_vlan_tci=inner_vlan_tci,
    )


def _network(eth_type: int, frame: bytes, offset: int) -> _Network | None:
    if eth_type == _IPV4_TYPE and len(frame) >= offset + _IPV4.size:
        return _ipv4(frame, offset)
    if eth_type == _IPV6_TYPE and len(frame) >= offset + _IPV6.size:
        return _ipv6(frame, offset)
    return None


def _ipv4(frame: bytes, offset: int) -> _Network | None:
    first, tos, length, ip_id, fragment, ttl, protocol, source, destination = _IPV4.unpack_from(frame, offset)
    size = 4 * (first & 0xF)
    if first >> 4 != 4 or size < _IPV4.size:  # noqa: PLR2004  IP version 4
        return None
    end = offset + length if length >= size else len(frame)
    return _Network(
        protocol,
        _ipv4_address(source),
        _ipv4_address(destination),
        tos,
        ttl,
        ip_id,
        bool(fragment & _DONT_FRAGMENT),
        _fragment(fragment & _FRAGMENT_OFFSET, bool(fragment & _MORE_FRAGMENTS)),
        bytes(frame[offset + size : end]),
        fragment & _FRAGMENT_OFFSET,
    )


def _fragment(offset: int, more: bool) -> Fragment:
    if offset:
        return _LATER
    return _FIRST if more else _WHOLE


def _ipv6(frame: bytes, offset: int) -> _Network | None:
    first, length, protocol, ttl, source, destination = _IPV6.unpack_from(frame, offset)
    if first >> 28 != 6:  # noqa: PLR2004  IP version 6
        return None
    start = offset + _IPV6.size
    end = start + length if length else len(frame)
    protocol, at, fragment, ip_id, body = _behind_extensions(protocol, bytes(frame[start:end]))
    return _Network(
        protocol,
        _ipv6_address(source),
        _ipv6_address(destination),
        first >> 20 & 0xFF,
        ttl,
        ip_id,
        dont_fragment=False,
        fragment=fragment,
        body=body,
        fragment_offset=at,
        flow_label=first & _FLOW_LABEL,
    )


def _behind_extensions(protocol: int, body: bytes) -> tuple[int, int, Fragment, int | None, bytes]:
    """The upper protocol; offset, kind and identification of a fragment; what is behind the headers OVS skips too.

    The protocol of a packet that ends within such a header is 0, as OVS has it (tried).
    """
    at, fragment, ip_id = 0, _WHOLE, None
    while protocol in _EXTENSIONS_V6 and fragment is not _LATER:
        if len(body) < 2 or len(body) < _extension_size(protocol, body[1]):  # noqa: PLR2004  next header and length
            return 0, at, fragment, ip_id, b""
        if protocol == _FRAGMENT_V6:
            bits = int.from_bytes(body[2:4])
            at = bits >> 3
            fragment = _fragment(at, bool(bits & 1))
            ip_id = int.from_bytes(body[4:8])
            # OVS takes a later fragment for protocol 44 (tried), so that is what flows and filters match.
            protocol, body = protocol if fragment is _LATER else body[0], body[8:]
        else:
            protocol, body = body[0], body[_extension_size(protocol, body[1]) :]
    return protocol, at, fragment, ip_id, body


def _extension_size(protocol: int, length: int) -> int:
    """Bytes of an extension header whose length field says this."""
    if protocol == _FRAGMENT_V6:
        return 8
    return 8 + (4 if protocol == _AUTHENTICATION else 8) * length


def _transport(network: _Network) -> _Transport:
    body, protocol = network.body, network.protocol
    if network.fragment is _LATER:
        return _Transport(payload=body)
    if protocol == _TCP_PROTOCOL:
        return _tcp(body)
    if protocol == _UDP_PROTOCOL and len(body) >= _UDP.size:
        source, destination, length = _UDP.unpack_from(body)
        return _Transport(source, destination, udp_length=length, payload=body[_UDP.size :])
    if protocol in _WITH_ID and len(body) >= _ICMP.size:
        return _icmp(body, _WITH_ID[protocol])
    if protocol in {_UDP_PROTOCOL, _SCTP} and len(body) >= _PORTS.size:
        return _ports(body)
    return _Transport(payload=body)


def _ports(body: bytes) -> _Transport:
    source, destination = _PORTS.unpack_from(body)
    return _Transport(source, destination, payload=body[_PORTS.size :])


def _tcp(body: bytes) -> _Transport:
    if len(body) < _TCP.size:
        if len(body) < _PORTS.size:
            return _Transport(payload=body)
        return _ports(body)
    source, destination, seq, ack, offset_and_flags = _TCP.unpack_from(body)
    size = max(_TCP_LEAST, offset_and_flags >> 12 << 2)
    return _Transport(source, destination, seq, ack, offset_and_flags & 0xFFF, payload=body[size:])


def _icmp(body: bytes, with_id: frozenset[int]) -> _Transport:
    kind, code = _ICMP.unpack_from(body)
    if kind in with_id and len(body) >= _ICMP.size + _ICMP_ECHO.size:
        icmp_id, icmp_seq = _ICMP_ECHO.unpack_from(body, _ICMP.size)
        payload = body[_ICMP.size + _ICMP_ECHO.size :]
        return _Transport(icmp_type=kind, icmp_code=code, icmp_id=icmp_id, icmp_seq=icmp_seq, payload=payload)
    return _Transport(icmp_type=kind, icmp_code=code, payload=body[_ICMP.size :])
