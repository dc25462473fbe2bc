"""Turns hexadecimal text, pcap files and pcapng files into captured Ethernet frames.

Sources: draft-ietf-opsawg-pcap (classic, micro- and nanoseconds, both byte orders), draft-ietf-opsawg-pcapng (section
header, interface description, enhanced and simple packet blocks; other blocks are passed over).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.errors import CodecError

_MAGICS = {0xA1B2C3D4, 0xA1B23C4D}
_SECTION = 0x0A0D0D0A
_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_FILE_HEADER = 24
_RECORD_HEADER = 16
_LEAST_BLOCK = 12
_LINK_TYPE_BITS = 0xFFFF
_SEPARATORS = re.compile(r"[\s:.,-]+|0x", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame as captured, and its length on the wire in bytes, which may be more."""

    frame: bytes
    total_length: int


def frame_of_hex(text: str) -> CapturedFrame:
    """The frame in hexadecimal text; spaces, colons and ``0x`` are passed over. Raises CodecError for other text."""
    digits = _SEPARATORS.sub("", text)
    strange = re.search(r"[^0-9a-fA-F]", digits)
    if strange is not None:
        raise CodecError(f"{strange[0]!r} is no hexadecimal digit: give the frame as hexadecimal text")
    if not digits or len(digits) % 2:
        raise CodecError(f"{len(digits)} hexadecimal digits are no whole number of bytes: is the frame cut off?")
    frame = bytes.fromhex(digits)
    return CapturedFrame(frame, len(frame))


def frames_of_capture(data: bytes, name: str) -> Iterator[CapturedFrame]:
    """The frames of a capture file one by one. ``name`` is for messages.

    Raises CodecError, at the frame it concerns, when the file is cut off, is no capture, or holds no Ethernet.
    """
    if len(data) >= 4:  # noqa: PLR2004  the magic number
        for order in ("<", ">"):
            (magic,) = struct.unpack_from(f"{order}I", data)
            if magic in _MAGICS:
                return _classic(data, order, name)
            if magic == _SECTION:
                return _blocks(data, name)
    raise CodecError(f"{name} is neither a pcap nor a pcapng file")


def _classic(data: bytes, order: str, name: str) -> Iterator[CapturedFrame]:
    if len(data) < _FILE_HEADER:
        raise CodecError(f"{name} is cut off inside its file header")
    (link_type,) = struct.unpack_from(f"{order}I", data, 20)
    _require_ethernet(link_type & _LINK_TYPE_BITS, name)
    offset, end = _FILE_HEADER, len(data)
    while offset < end:
        if end - offset < _RECORD_HEADER:
            raise _cut_off(name, offset)
        captured, total = struct.unpack_from(f"{order}II", data, offset + 8)
        start = offset + _RECORD_HEADER
        if start + captured > end:
            raise _cut_off(name, offset)
        yield CapturedFrame(data[start : start + captured], total)
        offset = start + captured


def _blocks(data: bytes, name: str) -> Iterator[CapturedFrame]:
    offset, end, order = 0, len(data), "<"
    link_types: list[tuple[int, int]] = []
    while offset < end:
        if end - offset < _LEAST_BLOCK:
            raise _cut_off(name, offset)
        (kind,) = struct.unpack_from(f"{order}I", data, offset)
        if kind == _SECTION:
            order, link_types = _byte_order(data, offset, name), []
        (length,) = struct.unpack_from(f"{order}I", data, offset + 4)
        if length < _LEAST_BLOCK or length % 4 or offset + length > end:
            raise _cut_off(name, offset)
        body = data[offset + 8 : offset + length - 4]
        try:
            if kind == _INTERFACE:
                link_types.append(struct.unpack_from(f"{order}HxxI", body))
            elif kind == _ENHANCED:
                yield _enhanced(body, order, link_types, name, offset)
            elif kind == _SIMPLE:
                yield _simple(body, order, link_types, name, offset)
        except struct.error:
            raise _cut_off(name, offset) from None
        offset += length


def _byte_order(data: bytes, offset: int, name: str) -> str:
    for order in ("<", ">"):
        if struct.unpack_from(f"{order}I", data, offset + 8)[0] == _BYTE_ORDER:
            return order
    raise CodecError(f"{name}: the section at byte {offset} has no byte order")


def _enhanced(body: bytes, order: str, link_types: list[tuple[int, int]], name: str, offset: int) -> CapturedFrame:
    interface, captured, total = struct.unpack_from(f"{order}I8xII", body)
    if interface >= len(link_types):
        raise CodecError(f"{name}: the packet at byte {offset} names interface {interface}, which is not described")
    _require_ethernet(link_types[interface][0], name)
    return _frame(body[20:], captured, total, name, offset)


def _simple(body: bytes, order: str, link_types: list[tuple[int, int]], name: str, offset: int) -> CapturedFrame:
    """A simple block does not say how much was captured: all of it, up to the interface's snapshot length."""
    (total,) = struct.unpack_from(f"{order}I", body)
    if not link_types:
        raise CodecError(f"{name}: the packet at byte {offset} comes before any interface")
    link_type, limit = link_types[0]
    _require_ethernet(link_type, name)
    return _frame(body[4:], min(total, limit) if limit else total, total, name, offset)


def _frame(body: bytes, captured: int, total: int, name: str, offset: int) -> CapturedFrame:
    if captured > len(body):
        raise _cut_off(name, offset)
    return CapturedFrame(body[:captured], total)


def _require_ethernet(link_type: int, name: str) -> None:
    if link_type != _ETHERNET:
        raise CodecError(f"{name} holds frames of link type {link_type}; only Ethernet (1) passes through a bridge")


def _cut_off(name: str, offset: int) -> CodecError:
    return CodecError(f"{name} is cut off or damaged at byte {offset}")
