"""Turns OpenFlow 1.3 replies into model values (OpenFlow 1.3.5 §7.3)."""

import struct
from dataclasses import dataclass, field

from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.codecs.openflow_errors import error_name
from vtrace_ovs.errors import CodecError

_FEATURES = struct.Struct("!QIBB2xII")
_CONFIG = struct.Struct("!HH")
_ERROR = struct.Struct("!HH")
_MULTIPART = struct.Struct("!HH4x")
_MORE = 1
_EXPERIMENTER_ERROR = 0xFFFF


@dataclass(frozen=True, slots=True)
class SwitchFeatures:
    """FEATURES_REPLY: who the bridge is."""

    dpid: int
    n_tables: int


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """GET_CONFIG_REPLY. ``flags`` holds the fragment mode; ``miss_send_len`` zero means no packet-ins."""

    flags: int
    miss_send_len: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ERROR message. ``xid`` is that of the request refused, ``request`` the front of that request.

    ``name`` is what OVS calls the error (``OFPBMC_BAD_PREREQ``), or its numbers where we do not know it.
    """

    xid: int
    type: int
    code: int
    name: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a multipart reply."""

    type: int
    more: bool
    body: bytes


def _expect(message: Message, kind: MessageType, size: int) -> bytes:
    if message.type != kind or len(message.body) < size:
        raise CodecError(f"message of type {message.type} with {len(message.body)} bytes is not a {kind.name}")
    return message.body


def hello_versions(message: Message) -> frozenset[int]:
    """The wire versions a HELLO offers: its bitmap, or its own version and all before (OpenFlow 1.3.5 §6.3.1)."""
    body = message.body
    if message.type != MessageType.HELLO:
        raise CodecError(f"message of type {message.type} is not a HELLO; is this an OpenFlow peer?")
    if len(body) >= 8 and body[:2] == b"\0\1":  # noqa: PLR2004  one bitmap element
        bitmap = int.from_bytes(body[4:8])
        return frozenset(version for version in range(32) if bitmap >> version & 1)
    return frozenset(range(1, message.version + 1))


def features_reply(message: Message) -> SwitchFeatures:
    """A FEATURES_REPLY. Raises CodecError for any other message."""
    dpid, _, n_tables, *_ = _FEATURES.unpack_from(_expect(message, MessageType.FEATURES_REPLY, _FEATURES.size))
    return SwitchFeatures(dpid, n_tables)


def get_config_reply(message: Message) -> SwitchConfig:
    """A GET_CONFIG_REPLY. Raises CodecError for any other message."""
    return SwitchConfig(*_CONFIG.unpack_from(_expect(message, MessageType.GET_CONFIG_REPLY, _CONFIG.size)))


def refusal(message: Message) -> Refusal:
    """An ERROR. Raises CodecError for any other message."""
    body = _expect(message, MessageType.ERROR, _ERROR.size)
    kind, code = _ERROR.unpack_from(body)
    start, vendor = _ERROR.size, None
    if kind == _EXPERIMENTER_ERROR:
        start, vendor = 8, int.from_bytes(body[4:8])
    return Refusal(message.xid, kind, code, error_name(kind, code, vendor), body[start:])


def multipart_part(message: Message) -> Part:
    """One MULTIPART_REPLY. Raises CodecError for any other message."""
    kind, flags = _MULTIPART.unpack_from(_expect(message, MessageType.MULTIPART_REPLY, _MULTIPART.size))
    return Part(kind, bool(flags & _MORE), message.body[_MULTIPART.size :])


@dataclass(slots=True)
class Assembly:
    """Gathers the parts of multipart replies by xid until each is whole."""

    _parts: dict[int, list[bytes]] = field(default_factory=dict)

    def add(self, message: Message) -> Part | None:
        """The whole reply (its parts' bodies one behind the other) once its last part is in, else None."""
        part = multipart_part(message)
        bodies = self._parts.setdefault(message.xid, [])
        bodies.append(part.body)
        if part.more:
            return None
        return Part(part.type, more=False, body=b"".join(self._parts.pop(message.xid)))
