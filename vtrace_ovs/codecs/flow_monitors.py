"""Turns flows to be watched into OpenFlow 1.3 flow monitors, and what a bridge says of them into changed flows.

ONF extension 187, which Open vSwitch speaks on OpenFlow 1.3 since 3.0 (``lib/ofp-monitor.c``); before, it refuses. A
monitor belongs to one connection and ends with it. A bridge says of changes made over that same connection only that
there were some. When too much waits to be sent it pauses its monitors, and says so.
"""

import struct
from collections.abc import Iterator, Mapping

from vtrace_ovs.codecs.framing import Message, MessageType, message
from vtrace_ovs.codecs.matching import decode_match, encode_match
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_ANY
from vtrace_ovs.model.flow import ChangedFlow, FlowChange, FlowKey, Watch
from vtrace_ovs.model.oxm import ONF

_FLOW_MONITOR, _PAUSED, _RESUMED = 1870, 1871, 1872
_EXPERIMENTER_MULTIPART = 0xFFFF
_FLAGS = {FlowChange.ADDED: 1 << 1, FlowChange.REMOVED: 1 << 2, FlowChange.MODIFIED: 1 << 3}
_EVENTS = {0: FlowChange.ADDED, 1: FlowChange.REMOVED, 2: FlowChange.MODIFIED}
_IDLE_TIMEOUT, _HARD_TIMEOUT = 0, 1
_EXPERIMENTER = struct.Struct("!II")
_MULTIPART = struct.Struct("!HH4xII")
_REQUEST = struct.Struct("!IHHIB3x")
_UPDATE = struct.Struct("!HH")
_FULL_UPDATE = struct.Struct("!HHHHHHHBxQ")
_MATCH_HEADER = 4


def flow_monitor_request(watches: Mapping[int, Watch], xid: int) -> bytes:
    """Ask to be told of these flows from now on. The keys are the monitors' numbers on this connection."""
    body = b"".join(_monitor(number, watch) for number, watch in watches.items())
    head = _MULTIPART.pack(_EXPERIMENTER_MULTIPART, 0, ONF, _FLOW_MONITOR)
    return message(MessageType.MULTIPART_REQUEST, xid, head + body)


def _monitor(number: int, watch: Watch) -> bytes:
    match = encode_match(watch.match)
    length = int.from_bytes(match[2:4])  # without the padding
    flags = sum(_FLAGS[change] for change in watch.changes)
    return _REQUEST.pack(number, flags, length, OFPP_ANY, watch.table_id) + match


def flow_monitor_cancel(number: int, xid: int) -> bytes:
    """End one monitor of this connection."""
    return message(MessageType.EXPERIMENTER, xid, _EXPERIMENTER.pack(ONF, _FLOW_MONITOR) + number.to_bytes(4))


def is_flow_update(message: Message) -> bool:
    """Whether a message is news of a monitor, or the answer to the request for one."""
    if message.type != MessageType.MULTIPART_REPLY or len(message.body) < _MULTIPART.size:
        return False
    kind, _, experimenter, subtype = _MULTIPART.unpack_from(message.body)
    return (kind, experimenter, subtype) == (_EXPERIMENTER_MULTIPART, ONF, _FLOW_MONITOR)


def monitors_paused(message: Message) -> bool | None:
    """True when monitors pause, False when they go on, None for any other message."""
    if message.type != MessageType.EXPERIMENTER or len(message.body) < _EXPERIMENTER.size:
        return None
    experimenter, subtype = _EXPERIMENTER.unpack_from(message.body)
    return {(ONF, _PAUSED): True, (ONF, _RESUMED): False}.get((experimenter, subtype))


def changed_flows(update: Message) -> tuple[ChangedFlow, ...]:
    """The flows that somebody changed, by whatever request; not those whose time was over. Raises CodecError."""
    if not is_flow_update(update):
        raise CodecError(f"message of type {update.type} is no news of a flow monitor")
    body = update.body[_MULTIPART.size :]
    full = ((_EVENTS[event], part) for event, part in _updates(body) if event in _EVENTS)
    return tuple(flow for change, part in full if (flow := _changed(change, part)) is not None)


def _updates(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(body):
        length, event = _UPDATE.unpack(body[offset : offset + _UPDATE.size].ljust(_UPDATE.size, b"\0"))
        if not _UPDATE.size <= length <= len(body) - offset:
            raise CodecError(f"flow update of {length} bytes does not fit the {len(body) - offset} left of its message")
        yield event, body[offset : offset + length]
        offset += length


def _changed(change: FlowChange, part: bytes) -> ChangedFlow | None:
    if len(part) < _FULL_UPDATE.size:
        raise CodecError(f"flow update of {len(part)} bytes has no room for a flow")
    _, _, reason, priority, _, _, length, table_id, cookie = _FULL_UPDATE.unpack_from(part)
    if not _MATCH_HEADER <= length <= len(part) - _FULL_UPDATE.size:
        raise CodecError(f"flow update of {len(part)} bytes has no room for a match of {length}")
    if change is FlowChange.REMOVED and reason in (_IDLE_TIMEOUT, _HARD_TIMEOUT):
        return None
    match = decode_match(part[_FULL_UPDATE.size + _MATCH_HEADER : _FULL_UPDATE.size + length])
    return ChangedFlow(change, FlowKey(table_id, priority, match), cookie)
