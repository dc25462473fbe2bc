"""Turns what a capture holds behind the headers it names into bits: ARP, neighbour discovery, and MPLS labels.

Sources: RFC 826, RFC 4861 §4, RFC 3032 §2.1; ``miniflow_extract()`` in ``lib/flow.c`` says which of it OVS looks at.
"""

import struct

from vtrace_ovs.model.packet import Headers, IpProtocol
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import (
    ETH_TYPE_ARP,
    ETH_TYPE_RARP,
    ETH_TYPES_MPLS,
    MOST_LABELS,
    MPLS,
    UPPER_LAYERS,
    PacketState,
)

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4 = (1, 0x0800, 6, 4)
_ARP_FIELDS = layout.bits_of("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha")
_ND_FIELDS = layout.bits_of("nd_target", "nd_sll", "nd_tll")
_ICMPV6 = IpProtocol.ICMPV6
_ND_TYPES = frozenset({135, 136})
_LINK_ADDRESS = {1: "nd_sll", 2: "nd_tll"}
_TARGET_AT, _OPTIONS_AT = 4, 20
_LEAST_OPTION = 8
_BOTTOM = 0x100


def announced(headers: Headers) -> tuple[int, int]:
    """(value, unknown bits) of a packet's ARP or neighbour discovery fields; of any other packet they are zero."""
    if headers.eth_type in {ETH_TYPE_ARP, ETH_TYPE_RARP}:
        return _arp(headers.payload)
    tuple_ = headers.five_tuple
    if tuple_ is None or tuple_.protocol != _ICMPV6 or headers.icmp_type not in _ND_TYPES:
        return 0, 0
    return (0, 0) if headers.icmp_code else _neighbour_discovery(headers.payload)


def _arp(payload: bytes) -> tuple[int, int]:
    if len(payload) < _ARP.size:
        return 0, _ARP_FIELDS
    *kind, op, sha, spa, tha, tpa = _ARP.unpack_from(payload)
    if tuple(kind) != _ETHERNET_IPV4:
        return 0, 0
    fields = {"arp_op": op if op <= 0xFF else 0}  # noqa: PLR2004  OVS keeps it in a byte
    fields |= {"arp_sha": _int(sha), "arp_spa": _int(spa), "arp_tha": _int(tha), "arp_tpa": _int(tpa)}
    return sum(layout.placed(name, value) for name, value in fields.items()), 0


def _neighbour_discovery(payload: bytes) -> tuple[int, int]:
    if len(payload) < _OPTIONS_AT:
        return 0, _ND_FIELDS
    packed = layout.placed("nd_target", _int(payload[_TARGET_AT:_OPTIONS_AT]))
    at = _OPTIONS_AT
    while at < len(payload):
        option = payload[at : at + _LEAST_OPTION]
        if len(option) < _LEAST_OPTION:
            return packed, _ND_FIELDS & ~layout.bits_of("nd_target")
        if not option[1]:
            break
        name = _LINK_ADDRESS.get(option[0])
        if name is not None and option[1] == 1:
            if layout.read(packed, name):
                return 0, 0  # OVS shows nothing at all of a packet that gives the same address twice (tried)
            packed |= layout.placed(name, _int(option[2:8]))
        at += _LEAST_OPTION * option[1]
    return packed, 0


def stack_labels(state: PacketState, headers: Headers) -> None:
    """Give a packet that arrives with MPLS labels those labels; what is under them stays unknown."""
    if headers.eth_type not in ETH_TYPES_MPLS:
        return
    labels: list[int] = []
    for at in range(0, len(headers.payload) - 3, 4):
        label = _int(headers.payload[at : at + 4])
        labels.append(_packed_label(label))
        if label & _BOTTOM or len(labels) == MOST_LABELS:
            break
    else:
        state.unknown |= MPLS
    state.packed |= labels[0] if labels else 0
    state.labels = tuple(labels[1:])
    state.covered = (0, UPPER_LAYERS)


def _packed_label(label: int) -> int:
    return (
        layout.placed("mpls_label", label >> 12)
        | layout.placed("mpls_tc", label >> 9)
        | layout.placed("mpls_bos", label >> 8)
        | layout.placed("mpls_ttl", label)
    )


def _int(octets: bytes) -> int:
    return int.from_bytes(octets)
