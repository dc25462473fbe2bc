"""Turns field values into bits of one big integer: a whole packet under translation is a single ``int``.

A masked compare over many fields is then one ``&``, and overlapping fields (``xreg0`` over ``reg0`` and ``reg1``,
``vlan_vid`` within ``vlan_tci``, the transport ports of every protocol) share bits as they do in OVS's ``struct flow``.
Fields that are matched often have the lowest bits, because Python's ``&`` costs as much as its smaller operand is long.
"""

from collections.abc import Iterable

from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import CATALOGUE, Field, SubField, components, field

INNER_VLAN = "inner vlan_tci"
"""The tag under the outer one. No flow can match it, but ``pop_vlan`` brings it back."""

_ORDER = (
    ("unmodelled", 1),
    ("in_port", 32),
    ("eth_type", 16),
    ("ip_proto", 8),
    ("ip_frag", 2),
    ("ipv4_src", 32),
    ("ipv4_dst", 32),
    ("tcp_src", 16),
    ("tcp_dst", 16),
    ("metadata", 64),
    ("ct_state", 8),
    ("vlan_tci", 16),
    ("eth_dst", 48),
    ("eth_src", 48),
    ("ip_ecn", 2),
    ("ip_dscp", 6),
    ("nw_ttl", 8),
    ("tun_id", 64),
    *((f"reg{n}", 32) for n in reversed(range(16))),
    ("ct_zone", 16),
    ("ct_mark", 32),
    ("pkt_mark", 32),
    ("tcp_flags", 12),
    (INNER_VLAN, 16),
    ("tun_src", 32),
    ("tun_dst", 32),
    ("ct_label", 128),
    ("ipv6_src", 128),
    ("ipv6_dst", 128),
    ("tun_ipv6_src", 128),
    ("tun_ipv6_dst", 128),
    ("tun_flags", 1),
    ("ipv6_label", 20),
    ("ct_nw_src", 32),
    ("ct_nw_dst", 32),
    ("ct_ipv6_src", 128),
    ("ct_ipv6_dst", 128),
    ("ct_nw_proto", 8),
    ("ct_tp_src", 16),
    ("ct_tp_dst", 16),
    ("conj_id", 32),
    ("tun_metadata0", 32),
    ("arp_op", 16),
    ("arp_spa", 32),
    ("arp_tpa", 32),
    ("arp_sha", 48),
    ("arp_tha", 48),
    ("nd_target", 128),
    ("nd_sll", 48),
    ("nd_tll", 48),
    ("mpls_label", 20),
    ("mpls_tc", 3),
    ("mpls_bos", 1),
    ("mpls_ttl", 8),
)

_SHARED = {
    "udp_src": "tcp_src",
    "sctp_src": "tcp_src",
    "icmp_type": "tcp_src",
    "icmpv6_type": "tcp_src",
    "udp_dst": "tcp_dst",
    "sctp_dst": "tcp_dst",
    "icmp_code": "tcp_dst",
    "icmpv6_code": "tcp_dst",
}


def _offsets() -> dict[str, int]:
    offsets, at = {}, 0
    for name, width in _ORDER:
        offsets[name] = at
        at += width
    offsets.update({name: offsets[owner] for name, owner in _SHARED.items()})
    for number in range(8):
        offsets[f"xreg{number}"] = offsets[f"reg{2 * number + 1}"]
    for number in range(4):
        offsets[f"xxreg{number}"] = offsets[f"reg{4 * number + 3}"]
    for name in ("vlan_vid", "vlan_pcp", "nw_tos"):
        lowest, part = components(field(name))[0]
        offsets[name] = offsets[part.field.name] + part.offset - lowest
    return offsets


_UNCONDITIONAL = frozenset(
    {"metadata", "pkt_mark", "tun_id", "eth_src", "eth_dst"}
    | {f"reg{n}" for n in range(16)}
    | {f"xreg{n}" for n in range(8)}
    | {f"xxreg{n}" for n in range(4)}
)
_OFFSETS = _offsets()
_WIDTHS = dict(_ORDER)
_OWN_BITS = {name: ((1 << width) - 1, _OFFSETS[name]) for name, width in _ORDER}

EVERYTHING = (1 << sum(_WIDTHS.values())) - 1
"""All bits of a packed packet."""
UNMODELLED = 1 << _OFFSETS["unmodelled"]
"""Stands for every field this walker does not track: always unknown, so a flow that tests one is never guessed at."""


def tracked(entry: Field) -> int:
    """The bits of a field that are tracked: all, but only the lowest 32 of ``tun_metadata0``, and none of some."""
    return entry.full_mask if entry.name != "tun_metadata0" else (1 << _WIDTHS["tun_metadata0"]) - 1


_PLACES = {entry.name: (_OFFSETS[entry.name], ~tracked(entry)) for entry in CATALOGUE if entry.name in _OFFSETS}
_NOWHERE = (0, -1)


def offset_of(entry: Field) -> int | None:
    """The lowest bit of a field, or None when the walker does not track it."""
    return _OFFSETS.get(entry.name)


def lowest_of(name: str) -> int:
    """The lowest bit of a field that has bits of its own."""
    return _OFFSETS[name]


def unconditional(entry: Field) -> int | None:
    """The lowest bit of a field that every packet has and that is written without regard to any other; else None."""
    return _OFFSETS[entry.name] if entry.name in _UNCONDITIONAL else None


def bits_of(*names: str) -> int:
    """All bits of these fields, in place."""
    return sum(((1 << _WIDTHS[name]) - 1) << _OFFSETS[name] for name in names)


def place_of(name: str) -> tuple[int, int]:
    """All bits of a field that has bits of its own, right-aligned, and its lowest bit."""
    return _OWN_BITS[name]


def read(packed: int, name: str) -> int:
    """The value of a field that has bits of its own."""
    mask, offset = _OWN_BITS[name]
    return packed >> offset & mask


def placed(name: str, value: int) -> int:
    """A value of a field that has bits of its own, in place; bits beyond its width are cut off."""
    mask, offset = _OWN_BITS[name]
    return (value & mask) << offset


def replaced(packed: int, name: str, value: int) -> int:
    """A packet with one field replaced."""
    return packed & ~bits_of(name) | placed(name, value)


def covered(part: SubField) -> int | None:
    """The lowest bit of part of a field, or None when the walker does not track it."""
    offset = offset_of(part.field)
    return None if offset is None or part.mask & ~tracked(part.field) else offset + part.offset


def packed_match(fields: Iterable[MaskedField]) -> tuple[int, int]:
    """A match as (value, mask) of a whole packet. Bits that are not tracked set the ``UNMODELLED`` mask bit."""
    value = mask = 0
    for masked in fields:
        offset, untracked = _PLACES.get(masked.field.name, _NOWHERE)
        if masked.mask & untracked:
            mask |= UNMODELLED
        else:
            value |= masked.value << offset
            mask |= masked.mask << offset
    return value, mask
