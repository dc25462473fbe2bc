"""Turns a byte stream into OpenFlow messages, and message bodies into bytes (OpenFlow 1.3.5 §7.1)."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from vtrace_ovs.errors import CodecError

VERSION = 4
_LONGEST = 0xFFFF
NICIRA = 0x00002320
_HEADER = struct.Struct("!BBHI")
_EXPERIMENTER = struct.Struct("!II")


class MessageType(IntEnum):
    """OpenFlow 1.3.5 §7.1.1 ``ofp_type``: the ones this tool sends or reads."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    EXPERIMENTER = 4
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    FLOW_MOD = 14
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    SET_ASYNC = 28
    METER_MOD = 29


@dataclass(frozen=True, slots=True)
class Message:
    """One OpenFlow message: ``version`` is the wire version (4 = OpenFlow 1.3), ``body`` all behind the header."""

    version: int
    type: int
    xid: int
    body: bytes


def messages(buffer: bytes) -> tuple[tuple[Message, ...], bytes]:
    """The whole messages at the front of a byte stream, and the bytes of the one not yet complete.

    Raises CodecError when a header claims fewer bytes than a header has: the stream cannot be followed any further.
    """
    found: list[Message] = []
    offset, end = 0, len(buffer)
    while end - offset >= _HEADER.size:
        version, kind, length, xid = _HEADER.unpack_from(buffer, offset)
        if length < _HEADER.size:
            raise CodecError(f"OpenFlow message of type {kind} claims {length} bytes, less than its header")
        if end - offset < length:
            break
        found.append(Message(version, kind, xid, bytes(buffer[offset + _HEADER.size : offset + length])))
        offset += length
    return tuple(found), bytes(buffer[offset:])


def message(kind: MessageType, xid: int, body: bytes = b"") -> bytes:
    """One OpenFlow 1.3 message. Raises CodecError when it would not fit the 16-bit length."""
    length = _HEADER.size + len(body)
    if length > _LONGEST:
        raise CodecError(
            f"{kind.name} of {length} bytes does not fit an OpenFlow message; use fewer or shorter actions"
        )
    return _HEADER.pack(VERSION, kind, length, xid) + body


def nicira(subtype: int, xid: int, body: bytes = b"") -> bytes:
    """A Nicira experimenter message (``nicira_header``, OVS nicira-ext.h)."""
    return message(MessageType.EXPERIMENTER, xid, _EXPERIMENTER.pack(NICIRA, subtype) + body)
