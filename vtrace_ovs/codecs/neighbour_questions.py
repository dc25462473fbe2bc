"""Turns ARP requests (RFC 826) and neighbour solicitations (RFC 4861) into who asks for whom; nothing here raises.

Answers, probes of an address before it is used (RFC 5227, RFC 4862) and announcements of one's own ask for nobody.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.packet import IPAddress, NeighbourQuestion

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_REQUEST = (1, 0x0800, 6, 4, 1)  # hardware, protocol, the lengths of their addresses, operation
_SOLICITATION = struct.Struct("!BB2x4x16s")
_SOLICITATION_TYPE = 135


def arp_question(body: bytes) -> NeighbourQuestion | None:
    """What is asked by what follows an Ethernet header of type 0x0806."""
    if len(body) < _ARP.size:
        return None
    *kind, _, asker, _, target = _ARP.unpack_from(body)
    return _question(IPv4Address(asker), IPv4Address(target)) if tuple(kind) == _ETHERNET_REQUEST else None


def solicitation(source: IPAddress, body: bytes) -> NeighbourQuestion | None:
    """What is asked by an ICMPv6 message (from its type on) that ``source`` sent."""
    if len(body) < _SOLICITATION.size:
        return None
    kind, code, target = _SOLICITATION.unpack_from(body)
    return _question(source, IPv6Address(target)) if (kind, code) == (_SOLICITATION_TYPE, 0) else None


def _question(asker: IPAddress, target: IPAddress) -> NeighbourQuestion | None:
    return None if asker.is_unspecified or asker == target else NeighbourQuestion(target, asker)
