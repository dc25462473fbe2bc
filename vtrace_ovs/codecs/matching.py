"""Turns OXM/NXM bytes into model fields and matches, and back (OpenFlow 1.3.5 §7.2.3, ovs-fields(7))."""

import struct
from functools import lru_cache
from operator import attrgetter

from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_MAX
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    CATALOGUE,
    EXPERIMENTER_CLASS,
    IN_PORT,
    Field,
    SubField,
    components,
    rank,
    sized,
    unnamed,
)

_HEADER = struct.Struct("!HBB")
_EXPERIMENTER_HEADER = struct.Struct("!HBBI")
_MATCH = struct.Struct("!HH")
_OFPMT_OXM = 1
_REMEMBERED = 1 << 17  # a bridge of 100,000 flows is read again and again
_RESERVED_PORTS_16 = 0xFF00
_PORT_BYTES_16 = 2
_EXPERIMENTER_BYTES = 4
_VARIABLE = "tun_metadata"
_EXPERIMENTER_CLASS = b"\xff\xff"

_BY_HEADER: dict[tuple[int, int, int | None], Field] = {
    **{(entry.oxm_class, entry.oxm_field, entry.experimenter): entry for entry in CATALOGUE},
    **{(oxm_class, number, None): entry for entry in CATALOGUE for oxm_class, number in entry.aliases},
}
_PLAIN = {
    _HEADER.pack(entry.oxm_class, entry.oxm_field << 1, entry.n_bytes): (4 + entry.n_bytes, entry, entry.full_mask)
    for entry in CATALOGUE
    if entry.experimenter is None
}
_by_name = attrgetter("field.name")


def port32(port: int) -> int:
    """A 16-bit OpenFlow port number as the 32-bit one: reserved ports move up (OVS ``ofputil_port_to_ofp11``)."""
    return port | 0xFFFF0000 if port >= _RESERVED_PORTS_16 else port


def port16(port: int) -> int:
    """A 32-bit OpenFlow port number as the 16-bit one of Nicira actions. Raises CodecError when it has none."""
    if port < _RESERVED_PORTS_16 or port >= OFPP_MAX:
        return port & 0xFFFF
    raise CodecError(f"port {port} does not exist in OVS: ports end at {_RESERVED_PORTS_16 - 1}")


@lru_cache(maxsize=4096)
def _field_of(oxm_class: int, number: int, experimenter: int | None, n_bytes: int) -> Field:
    known = _BY_HEADER.get((oxm_class, number, experimenter))
    if known is None:
        return unnamed(oxm_class, number, n_bytes, experimenter)
    if known is IN_PORT:
        right = n_bytes in (_PORT_BYTES_16, known.n_bytes)
    else:
        right = n_bytes == known.n_bytes or known.name.startswith(_VARIABLE)
    if not right:
        raise CodecError(f"{known.name} has {n_bytes} bytes instead of {known.n_bytes}; this is not Open vSwitch")
    return known if known is IN_PORT else sized(known, n_bytes)


@lru_cache(maxsize=4096)
def _layout(head: bytes) -> tuple[Field, int, int, bool, int]:
    """(field, header size, payload size, whether a mask follows, all bits) of an OXM with this header."""
    oxm_class, tail, length = _HEADER.unpack_from(head)
    start, experimenter = _HEADER.size, None
    if oxm_class == EXPERIMENTER_CLASS:
        start, experimenter = len(head), int.from_bytes(head[_HEADER.size :])
    has_mask = bool(tail & 1)
    n_bytes = (length + _HEADER.size - start) // (2 if has_mask else 1)
    if n_bytes <= 0:
        raise CodecError(f"OXM {oxm_class:#x}:{tail >> 1} has no payload; the match is cut short")
    entry = _field_of(oxm_class, tail >> 1, experimenter, n_bytes)
    return entry, start, n_bytes, has_mask, entry.full_mask


@lru_cache(maxsize=2 * _REMEMBERED)
def decode_tlv(tlv: bytes) -> MaskedField:
    """One OXM with its payload, under the field it is called in the catalogue. Raises CodecError for a wrong length.

    A payload without mask matches every bit of the field; bits beyond the field's width are cut off.
    """
    plain = _PLAIN.get(tlv[:4])
    if plain is not None and len(tlv) == plain[0]:
        return MaskedField(plain[1], int.from_bytes(tlv[4:]) & plain[2], plain[2])
    return _decode_any(tlv)


def _decode_any(tlv: bytes) -> MaskedField:
    head = tlv[: _EXPERIMENTER_HEADER.size] if tlv[:2] == _EXPERIMENTER_CLASS else tlv[: _HEADER.size]
    if len(tlv) < _HEADER.size or len(tlv) != _HEADER.size + tlv[3]:
        raise CodecError(f"OXM {tlv.hex()} is cut short")
    entry, start, n_bytes, has_mask, mask = _layout(head)
    if has_mask:
        mask &= int.from_bytes(tlv[start + n_bytes : start + 2 * n_bytes])
        return MaskedField(entry, int.from_bytes(tlv[start : start + n_bytes]) & mask, mask)
    value = int.from_bytes(tlv[start:]) & mask
    return MaskedField(entry, port32(value) if entry is IN_PORT and n_bytes == _PORT_BYTES_16 else value, mask)


def decode_tlvs(body: bytes) -> list[MaskedField]:
    """The OXMs of a match or of packet-in metadata, in wire order. Raises CodecError when one runs over the end."""
    found = []
    offset, end = 0, len(body)
    while offset + 4 <= end:
        stop = offset + 4 + body[offset + 3]
        found.append(decode_tlv(body[offset:stop]))
        offset = stop
    if offset != end:
        raise CodecError(f"{end - offset} stray bytes behind the last OXM of a match")
    return found


@lru_cache(maxsize=_REMEMBERED)
def decode_match(body: bytes) -> Match:
    """The match in these OXMs (``ofp_match`` without its header and padding), overlapping fields taken apart.

    ``vlan_vid`` and ``vlan_pcp`` become bits of ``vlan_tci``, ``xreg`` and ``xxreg`` bits of ``reg``.
    """
    found = decode_tlvs(body)
    found.sort(key=_by_name)
    return Match(tuple(found)).taken_apart()


def header(entry: Field, has_mask: bool = False) -> bytes:
    """The OXM header of a field, 4 or 8 bytes."""
    size = entry.n_bytes * (2 if has_mask else 1)
    tail = entry.oxm_field << 1 | has_mask
    if entry.experimenter is None:
        return _HEADER.pack(entry.oxm_class, tail, size)
    return _EXPERIMENTER_HEADER.pack(entry.oxm_class, tail, size + 4, entry.experimenter)


@lru_cache(maxsize=_REMEMBERED)
def encode_tlv(masked: MaskedField) -> bytes:
    """One field as OXM; the mask is sent only where it is not the whole field. Raises CodecError if it may not be."""
    entry = masked.field
    value = masked.value.to_bytes(entry.n_bytes)
    if masked.exact:
        return header(entry) + value
    if not entry.maskable:
        raise CodecError(f"{entry.name} cannot be matched under a mask; match all of it or none")
    return header(entry, has_mask=True) + value + masked.mask.to_bytes(entry.n_bytes)


@lru_cache(maxsize=_REMEMBERED)
def _ranked(masked: MaskedField) -> tuple[int, bytes]:
    return rank(masked.field), encode_tlv(masked)


def encode_match(match: Match) -> bytes:
    """An ``ofp_match`` with header and padding, prerequisites first."""
    body = b"".join([tlv for _, tlv in sorted(map(_ranked, match.fields))])
    length = _MATCH.size + len(body)
    return _MATCH.pack(_OFPMT_OXM, length) + body + bytes(-length % 8)


def decode_header(wire: bytes, offset: int) -> tuple[Field, int]:
    """The field an OXM header names, and where the header ends. Raises CodecError when it is cut short."""
    if len(wire) < offset + 4:
        raise CodecError("a field header is cut short inside an action")
    oxm_class, tail, length = _HEADER.unpack_from(wire, offset)
    if oxm_class != EXPERIMENTER_CLASS:
        return _field_of(oxm_class, tail >> 1, None, length), offset + 4
    if len(wire) < offset + 8 or length <= _EXPERIMENTER_BYTES:
        raise CodecError("an experimenter field header is cut short inside an action")
    return _field_of(
        oxm_class, tail >> 1, int.from_bytes(wire[offset + 4 : offset + 8]), length - _EXPERIMENTER_BYTES
    ), offset + 8


def canonical(part: SubField) -> SubField:
    """The same bits in the field they really belong to, where they lie in one (``nw_tos[2..7]`` is ``ip_dscp[]``)."""
    for low, target in components(part.field):
        shift = part.offset - low
        if shift >= 0 and shift + part.width <= target.width:
            return SubField(target.field, target.offset + shift, part.width)
    return part
