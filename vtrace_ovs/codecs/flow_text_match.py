"""Turns the match part of a dumped flow into a Match, overlapping fields taken apart as in ``codecs.matching``."""

from collections.abc import Iterable
from functools import lru_cache

from vtrace_ovs.codecs.flow_text_words import PortNames, known_field, masked, number, shown
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    ETH_TYPE,
    EXPERIMENTER_CLASS,
    IP_PROTO,
    OVERLAPPING,
    VLAN_TCI,
    Field,
    Notation,
    field,
)

_IPV4, _IPV6 = 0x0800, 0x86DD
PROTOCOL_WORDS = {
    "ip": (_IPV4, None),
    "icmp": (_IPV4, 1),
    "tcp": (_IPV4, 6),
    "udp": (_IPV4, 17),
    "sctp": (_IPV4, 132),
    "ipv6": (_IPV6, None),
    "tcp6": (_IPV6, 6),
    "udp6": (_IPV6, 17),
    "sctp6": (_IPV6, 132),
    "icmp6": (_IPV6, 58),
    "arp": (0x0806, None),
    "rarp": (0x8035, None),
    "mpls": (0x8847, None),
    "mplsm": (0x8848, None),
}
"""Shorthands of ovs-fields(7): EtherType and IP protocol."""
_PORT_LAYERS = {6: "tcp", 17: "udp", 132: "sctp"}
_RENAMED = {"gtpu_flags": "tun_gtpu_flags", "gtpu_msgtype": "tun_gtpu_msgtype"}
_ICMPV6 = 58
_VLAN_PRESENT = 0x1000
_VLAN_PCP_SHIFT = 13
_NO_VLAN = 0xFFFF
_UNKNOWN_BITS = 128


def parse_match(words: Iterable[str], names: PortNames) -> Match:
    """The match these words (``tcp``, ``nw_dst=10.0.0.0/8``) make. Raises CodecError naming the word that is none.

    A field this version does not know is kept by name when its value is a number, so that the walker can say that the
    flow depends on it.
    """
    merged: dict[Field, MaskedField] = {}
    ports: list[tuple[str, str]] = []
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            _take(merged, *_shorthand(name))
        elif name in {"tp_src", "tp_dst", "icmp_type", "icmp_code"}:
            ports.append((name, text))
        else:
            _take(merged, _field_word(name, text, names))
    protocol = merged[IP_PROTO].value if IP_PROTO in merged else None
    for name, text in ports:
        _take(merged, masked(transport_field(name, protocol), text, names))
    return Match.of(*merged.values())


def transport_field(name: str, protocol: int | None) -> Field:
    """The field ``tp_src``, ``tp_dst``, ``icmp_type`` or ``icmp_code`` mean with this IP protocol.

    Raises CodecError where they mean none.
    """
    if name.startswith("icmp"):
        return field(name.replace("icmp", "icmpv6") if protocol == _ICMPV6 else name)
    layer = None if protocol is None else _PORT_LAYERS.get(protocol)
    if layer is None:
        raise CodecError(f"{name} has no meaning without tcp, udp or sctp")
    return field(f"{layer}_{name[3:]}")


def _take(merged: dict[Field, MaskedField], *found: MaskedField) -> None:
    whole = found if OVERLAPPING.isdisjoint(part.field for part in found) else Match.of(*found).taken_apart().fields
    for part in whole:
        if not part.mask:
            continue  # matches everything
        old = merged.get(part.field, MaskedField(part.field, 0, 0))
        merged[part.field] = MaskedField(part.field, part.value | old.value, part.mask | old.mask)


def _shorthand(word: str) -> tuple[MaskedField, ...]:
    if word not in PROTOCOL_WORDS:
        raise CodecError(f"{shown(word)} is no protocol this version knows")
    eth_type, protocol = PROTOCOL_WORDS[word]
    kind = MaskedField(ETH_TYPE, eth_type, ETH_TYPE.full_mask)
    return (kind,) if protocol is None else (kind, MaskedField(IP_PROTO, protocol, IP_PROTO.full_mask))


def _field_word(name: str, text: str, names: PortNames) -> MaskedField:
    if name == "dl_vlan":
        tag = number(text, _NO_VLAN)
        if tag == _NO_VLAN:
            return MaskedField(VLAN_TCI, 0, VLAN_TCI.full_mask)
        return MaskedField(VLAN_TCI, tag & 0xFFF | _VLAN_PRESENT, 0x1FFF)
    if name == "dl_vlan_pcp":
        return MaskedField(VLAN_TCI, number(text, 7) << _VLAN_PCP_SHIFT | _VLAN_PRESENT, 0xF000)
    entry = known_field(_RENAMED.get(name, name))
    return masked(_unknown_field(name) if entry is None else entry, text, names)


@lru_cache(maxsize=256)
def _unknown_field(name: str) -> Field:
    """A field of a newer Open vSwitch; one object per name."""
    if not name.isidentifier():
        raise CodecError(f"{shown(name)} is not a field name")
    return Field(name, EXPERIMENTER_CLASS, 0, _UNKNOWN_BITS, notation=Notation.HEXADECIMAL, nxm=name)
