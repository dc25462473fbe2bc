"""Turns frames with comments into the bytes of a pcapng file (draft-ietf-opsawg-pcapng: one section, Ethernet)."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

_SECTION, _INTERFACE, _ENHANCED = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ANY_LENGTH = 0xFFFFFFFFFFFFFFFF
_ETHERNET = 1
_COMMENT, _INTERFACE_NAME, _FLAGS = 1, 2, 2
_LONGEST_OPTION = 0xFFFF
_MICROSECONDS = 1_000_000


class Direction(IntEnum):
    """Which way a frame passed its interface; the value is that of the first two bits of ``epb_flags``."""

    UNKNOWN = 0
    INBOUND = 1
    OUTBOUND = 2


@dataclass(frozen=True, slots=True)
class CommentedFrame:
    """One record: where and when (Unix seconds) it was captured, its length on the wire, and what to say about it.

    ``interface`` is a name; each gets an interface description of its own.
    """

    interface: str
    at: float
    frame: bytes
    total_length: int
    comment: str
    direction: Direction = Direction.UNKNOWN


def pcapng_of(frames: Iterable[CommentedFrame]) -> bytes:
    """The whole file, records in the order given. Times are kept in microseconds."""
    return b"".join(_blocks(frames))


def _blocks(frames: Iterable[CommentedFrame]) -> Iterator[bytes]:
    yield _block(_SECTION, struct.pack("<IHHQ", _BYTE_ORDER, 1, 0, _ANY_LENGTH))
    interfaces: dict[str, int] = {}
    for frame in frames:
        if frame.interface not in interfaces:
            interfaces[frame.interface] = len(interfaces)
            name = _option(_INTERFACE_NAME, _text(frame.interface))
            yield _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + name + _option(0, b""))
        yield _packet(frame, interfaces[frame.interface])


def _packet(frame: CommentedFrame, interface: int) -> bytes:
    time = max(0, round(frame.at * _MICROSECONDS))
    captured = len(frame.frame)
    fixed = (interface, time >> 32, time & 0xFFFFFFFF, captured, max(captured, frame.total_length))
    options = _option(_FLAGS, struct.pack("<I", frame.direction)) + _option(_COMMENT, _text(frame.comment))
    return _block(_ENHANCED, struct.pack("<IIIII", *fixed) + _padded(frame.frame) + options + _option(0, b""))


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(words: str) -> bytes:
    """UTF-8, cut between characters where an option cannot hold it."""
    return words.encode(errors="replace")[:_LONGEST_OPTION].decode(errors="ignore").encode()


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)
