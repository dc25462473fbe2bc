"""Turns OpenFlow 1.0 features into the ports that floods leave out, the one thing OpenFlow 1.3 no longer tells.

Source: OpenFlow 1.0.0 §5.2.1 (``ofp_phy_port``) and §5.3.1 (``ofp_switch_features``).
"""

import struct

from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_LOCAL

VERSION = 1
_HEADER = struct.Struct("!BBHI")
_FEATURES = struct.Struct("!QIB3xII")
_PORT = struct.Struct("!H6x16xI20x")
_NO_FLOOD = 1 << 4
_LOCAL = 0xFFFE


def greeting() -> bytes:
    """HELLO of a controller that speaks OpenFlow 1.0 only, and FEATURES_REQUEST behind it."""
    return b"".join(
        _HEADER.pack(VERSION, kind, _HEADER.size, xid)
        for xid, kind in enumerate((MessageType.HELLO, MessageType.FEATURES_REQUEST), 1)
    )


def is_features(message: Message) -> bool:
    """Whether this is the answer to the request of ``greeting``."""
    return (message.version, message.type) == (VERSION, MessageType.FEATURES_REPLY)


def no_flood_ports(message: Message) -> frozenset[int] | None:
    """The ports with ``OFPPC_NO_FLOOD``; None when there were too many ports for one message, which then has none.

    Raises CodecError for a reply that is cut off.
    """
    ports = message.body[_FEATURES.size :]
    if len(message.body) < _FEATURES.size or len(ports) % _PORT.size:
        raise CodecError(f"OpenFlow 1.0 features of {len(message.body)} bytes are cut off")
    if not ports:
        return None
    found = (number for number, config in _PORT.iter_unpack(ports) if config & _NO_FLOOD)
    return frozenset(OFPP_LOCAL if number == _LOCAL else number for number in found)
