"""Turns the ranges of a ``nat`` action into the text ovs-ofctl prints for them, and back (ovs-actions(7))."""

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from vtrace_ovs.errors import CodecError

_OPTIONS = ((4, "persistent"), (8, "hash"), (16, "random"))
_IPV4_MIN, _IPV6_MIN, _PORT_MIN = 0, 2, 4
_PORTS = r"(?::(?P<port>\d+)(?:-(?P<last>\d+))?)?"
_IPV4 = re.compile(rf"(?P<low>[\d.]+)(?:-(?P<high>[\d.]+))?{_PORTS}")
_IPV6_WITH_PORTS = re.compile(rf"\[(?P<low>[^]-]+)(?:-(?P<high>[^]]+))?\]{_PORTS}")
_IPV6 = re.compile(r"(?P<low>[\da-f:.]+)(?:-(?P<high>[\da-f:.]+))?(?P<port>)(?P<last>)")


def range_text(flags: int, present: int, body: bytes) -> str:
    """``low-high:port-port,options`` from ``nx_action_nat``'s flags, presence bits and optional fields."""
    offset = 0
    parts: dict[int, str] = {}
    for bit, size in ((0, 4), (1, 4), (2, 16), (3, 16), (4, 2), (5, 2)):
        if present >> bit & 1:
            field = body[offset : offset + size]
            if len(field) < size:
                raise CodecError("a nat action is shorter than the ranges it announces")
            parts[bit] = str(int.from_bytes(field)) if bit >= _PORT_MIN else str(ip_address(field))
            offset += size
    address = _dashed(parts, _IPV4_MIN) or _dashed(parts, _IPV6_MIN)
    ports = _dashed(parts, _PORT_MIN)
    if ports:
        address = f"[{address}]:{ports}" if _IPV6_MIN in parts else f"{address}:{ports}"
    return ",".join([address, *(word for bit, word in _OPTIONS if flags & bit)]) if address else ""


def _dashed(parts: dict[int, str], low: int) -> str:
    return "-".join(parts[bit] for bit in (low, low + 1) if bit in parts)


def range_bytes(text: str) -> tuple[int, int, bytes]:
    """(option flags, presence bits, optional fields) of a range text. Raises CodecError for a text that is none."""
    if not text:
        return 0, 0, b""
    span, *options = text.split(",")
    found = _IPV4.fullmatch(span) or _IPV6_WITH_PORTS.fullmatch(span) or _IPV6.fullmatch(span)
    words = {word: bit for bit, word in _OPTIONS}
    if found is None or not set(options) <= words.keys():
        raise CodecError(f"{text!r} is not a nat range; write low-high:port-port,option")
    present, body = 0, b""
    try:
        for bit, address in enumerate((found["low"], found["high"])):
            if address:
                parsed: IPv4Address | IPv6Address = ip_address(address)
                present |= 1 << (bit if parsed.version == 4 else bit + _IPV6_MIN)  # noqa: PLR2004  IP version 4
                body += parsed.packed
        for bit, port in enumerate((found["port"], found["last"])):
            if port:
                present |= 1 << bit + _PORT_MIN
                body += struct.pack("!H", int(port))
    except (ValueError, struct.error) as error:
        raise CodecError(f"{text!r} is not a nat range: {error}") from error
    return sum(words[option] for option in options), present, body
