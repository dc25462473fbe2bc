"""Turns pieces of ovs-ofctl output (words, port names, field values) into numbers and masked fields (ovs-fields(7))."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, NetmaskValueError

from vtrace_ovs.codecs.matching import canonical, port32
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.notation import CT_STATE_BITS, RESERVED_PORTS, TCP_FLAG_BITS, TUNNEL_FLAG_BITS
from vtrace_ovs.model.oxm import CATALOGUE, IN_PORT, Field, Notation, SubField
from vtrace_ovs.model.oxm import field as field_named

_OPENING, _CLOSING = "([{", ")]}"
_LONGEST_SHOWN = 60
_RESERVED = {name: number for number, name in RESERVED_PORTS.items()}
_FLAGS = {
    Notation.CT_STATE: CT_STATE_BITS,
    Notation.TCP_FLAGS: TCP_FLAG_BITS,
    Notation.TUNNEL_FLAGS: TUNNEL_FLAG_BITS,
}
_FRAGMENTS = {"no": (0, 3), "first": (1, 3), "later": (3, 3), "yes": (1, 1), "not_later": (0, 2)}
_SET_BITS_ONLY = frozenset(
    map(field_named, ("tun_erspan_ver", "tun_erspan_dir", "tun_erspan_hwid", "tun_gtpu_flags", "tun_gtpu_msgtype"))
)
"""Of these, OVS matches only the bits that are set in the value, and prints no mask (tried)."""
_SIGNED_FLAG = re.compile(r"([+-])([a-z]+|\[[0-9a-f]+\])")
_SUB_FIELD = re.compile(r"(\w+)(?:\[(?:(\d{1,4})(?:\.\.(\d{1,4}))?)?\])?")
_BY_NXM = {entry.nxm: entry for entry in CATALOGUE if entry.nxm}
_PORT_BITS = 16
REMEMBERED = 1 << 16
_GREATEST_PORT = 0xFFFFFFFF
_GREATEST = (1 << 992) - 1
"""No field is wider than a tunnel option."""


@dataclass(frozen=True, slots=True, eq=False)
class PortNames:
    """What turns the port names of a dump into numbers; without them a dump must have been made with --no-names.

    Compared by identity, so that readings can be remembered: the words of a dump repeat.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)

    def port(self, text: str) -> int:
        """The OpenFlow port number of a number, a reserved name or a port name. Raises CodecError for another."""
        name = unquoted(text)
        if name.isdecimal() and not text.startswith('"'):
            return port32(number(name, _GREATEST_PORT))
        reserved = _RESERVED.get(name.upper())
        if reserved is not None and not text.startswith('"'):
            return reserved
        if name not in self.numbers:
            raise CodecError(
                f"what number port {shown(name)} has is not known: "
                "add the output of ovs-ofctl show, or dump with --no-names"
            )
        return self.numbers[name]


def shown(text: str) -> str:
    """A piece of a dump as an error message quotes it."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def split(text: str, separators: str = ",") -> list[str]:
    """The parts between separators that are outside brackets and quotes; empty parts are left out.

    Raises CodecError when a bracket or quote is never closed: the text was cut.
    """
    if not any(sign in text for sign in '()[]{}"'):
        for other in separators[1:]:
            text = text.replace(other, separators[0])
        return [part for part in text.split(separators[0]) if part]
    parts, start, depth, quoted, escaped = [], 0, 0, False, False
    for at, sign in enumerate(text):
        if quoted:
            quoted = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            quoted = True
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign in separators and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    if depth or quoted:
        raise CodecError(f"a bracket or quote is never closed in {shown(text)}: is the dump cut off?")
    return [part for part in (*parts, text[start:]) if part]


def unquoted(text: str) -> str:
    """A name without the quotes OVS puts around unusual ones."""
    if not text.startswith('"'):
        return text
    try:
        name = json.loads(text)
    except ValueError:
        name = None
    if not isinstance(name, str):
        raise CodecError(f"{shown(text)} is not a quoted name")
    return name


def number(text: str, most: int = _GREATEST) -> int:
    """A decimal or hexadecimal number from 0 to ``most``. Raises CodecError for anything else."""
    try:
        value = int(text, 0)
    except ValueError:
        raise CodecError(f"{shown(text)} is not a number") from None
    if not 0 <= value <= most:
        raise CodecError(f"{shown(text)} is out of range")
    return value


def table_number(text: str) -> int:
    """A table number. Raises CodecError for a table name, which says nothing about the number."""
    if not text.isdecimal():
        raise CodecError(f"table {shown(text)} is a name: dump with --no-names")
    return number(text, 0xFF)


@lru_cache(maxsize=REMEMBERED)
def masked(entry: Field, text: str, names: PortNames) -> MaskedField:
    """A value, or value and mask, in the notation OVS prints for this field. Raises CodecError for another text."""
    match entry.notation:
        case Notation.PORT:
            value, mask = names.port(text), entry.full_mask
        case Notation.CT_STATE | Notation.TCP_FLAGS | Notation.TUNNEL_FLAGS:
            value, mask = _flags(entry, text)
        case Notation.FRAGMENT if text in _FRAGMENTS:
            value, mask = _FRAGMENTS[text]
        case Notation.PACKET_TYPE:
            namespace, _, kind = text.strip("()").partition(",")
            value, mask = number(namespace, 0xFFFF) << 16 | number(kind, 0xFFFF), entry.full_mask
        case _:
            first, slash, second = text.partition("/")
            value = _plain(entry, first)
            mask = _mask(entry, second) if slash else entry.full_mask
            if entry in _SET_BITS_ONLY:
                mask = value
    if value > entry.full_mask or mask > entry.full_mask:
        raise CodecError(f"{shown(text)} does not fit {entry.name}, which has {entry.width} bits")
    return MaskedField(entry, value & mask, mask)


def _plain(entry: Field, text: str) -> int:
    try:
        match entry.notation:
            case Notation.IPV4:
                return int(IPv4Address(text))
            case Notation.IPV6:
                return int(IPv6Address(text))
            case Notation.ETHERNET:
                return _mac(text)
            case _:
                return number(text)
    except (AddressValueError, NetmaskValueError):
        raise CodecError(f"{shown(text)} is not an address for {entry.name}") from None


def _mask(entry: Field, text: str) -> int:
    if entry.notation in {Notation.IPV4, Notation.IPV6} and text.isdecimal():
        length = number(text, entry.width)
        return entry.full_mask ^ (entry.full_mask >> length)
    return _plain(entry, text)


def _mac(text: str) -> int:
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        raise CodecError(f"{shown(text)} is not a MAC address")
    return int(text.replace(":", ""), 16)


def _flags(entry: Field, text: str) -> tuple[int, int]:
    names = _FLAGS[entry.notation]
    if text[:1] in {"+", "-"}:
        found = _SIGNED_FLAG.findall(text)
        if "".join(sign + name for sign, name in found) != text:
            raise CodecError(f"{shown(text)} are not flags of {entry.name}")
        mask = sum(_flag(entry, names, name) for _, name in found)
        return sum(_flag(entry, names, name) for sign, name in found if sign == "+"), mask
    if text[:1].isdecimal():
        value, slash, mask_text = text.partition("/")
        return number(value), number(mask_text) if slash else entry.full_mask
    return sum(_flag(entry, names, name) for name in text.split("|")), entry.full_mask


def _flag(entry: Field, names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise CodecError(f"{shown(name)} is not a flag of {entry.name} this version knows")
    return 1 << names.index(name)


@lru_cache(maxsize=1024)
def sub_field(text: str) -> SubField | None:
    """``NXM_NX_REG0[0..15]``, ``NXM_NX_REG0[]`` or ``reg0``; None for a field this version does not know."""
    found = _SUB_FIELD.fullmatch(text)
    if found is None:
        raise CodecError(f"{shown(text)} names no bits of a field")
    name, first, last = found.groups()
    entry = _BY_NXM.get(name) or known_field(name)
    if entry is None:
        return None
    width = _PORT_BITS if entry is IN_PORT and name == IN_PORT.nxm else entry.width
    offset = 0 if first is None else int(first)
    if first is not None:
        width = (offset if last is None else int(last)) - offset + 1
    if width < 1 or offset + width > entry.width:
        raise CodecError(f"{shown(text)} lies outside of {entry.name}, which has {entry.width} bits")
    return canonical(SubField(entry, offset, width))


def known_field(name: str) -> Field | None:
    """The field of this name in any spelling OVS has, or None."""
    try:
        return field_named(name)
    except KeyError:
        return None
