"""Turns the bodies of multipart replies into flows, groups, meters and ports (OpenFlow 1.3.5 §7.3.5)."""

import struct
from collections.abc import Iterator

from vtrace_ovs.codecs.action_decoding import decode_actions
from vtrace_ovs.codecs.instructions import decode_instructions
from vtrace_ovs.codecs.matching import decode_match
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.bulk import collector_paused
from vtrace_ovs.model.flow import (
    Bucket,
    Flow,
    GroupEntry,
    GroupType,
    MeterCounters,
    MeterEntry,
    PortCounters,
    PortDescription,
    QueueCounters,
)

_FLOW = struct.Struct("!HBxIIHHHH4xQQQHH")
_FLOW_MATCH = 48
_GROUP = struct.Struct("!HBxI")
_BUCKET = struct.Struct("!HHII4x")
_METER_CONFIG = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII")
_METER_STATS = struct.Struct("!IH6xIQQII")
_BAND_STATS = struct.Struct("!QQ")
_PORT = struct.Struct("!I4x6s2x16sII24x")
_PORT_STATS = struct.Struct("!I4x12QII")
_QUEUE_STATS = struct.Struct("!II3QII")
_NOT_COUNTED = (1 << 64) - 1
_PACKETS_PER_SECOND = 2
_DROP_BAND = 1
_DOWN, _NO_RECEIVE, _NO_FORWARD = 1, 1 << 2, 1 << 5  # enum ofp_port_config, OpenFlow 1.3.5 section 7.2.1


def flows(body: bytes) -> tuple[Flow, ...]:
    """The flows of an OFPMP_FLOW reply, in the bridge's order. Raises CodecError when a length leads astray."""
    with collector_paused(len(body) // _FLOW.size):
        return _flows(body)


def _flows(body: bytes) -> tuple[Flow, ...]:
    found: list[Flow] = []
    offset, end = 0, len(body)
    unpack = _FLOW.unpack_from
    while offset < end:
        if end - offset < _FLOW.size:
            raise CodecError(f"{end - offset} stray bytes behind the last flow of a flow statistics reply")
        (
            length,
            table_id,
            seconds,
            nanoseconds,
            priority,
            idle_timeout,
            hard_timeout,
            flags,
            cookie,
            n_packets,
            n_bytes,
            _,
            match_length,
        ) = unpack(body, offset)
        start = offset + _FLOW_MATCH
        behind = start + (match_length + 7) // 8 * 8
        stop = offset + length
        if not start + 4 <= start + match_length <= behind <= stop <= end:
            raise CodecError(f"flow of {length} bytes with a match of {match_length} does not fit its reply")
        found.append(
            Flow(
                table_id,
                priority,
                decode_match(body[start + 4 : start + match_length]),
                decode_instructions(body[behind:stop]),
                cookie,
                idle_timeout,
                hard_timeout,
                flags,
                n_packets,
                n_bytes,
                seconds + nanoseconds / 1e9,
            )
        )
        offset = stop
    return tuple(found)


def _entries(body: bytes, least: int, length_at: int, what: str) -> Iterator[bytes]:
    offset, end = 0, len(body)
    while offset < end:
        length = int.from_bytes(body[offset + length_at : offset + length_at + 2])
        if length < least or offset + length > end:
            raise CodecError(f"{what} claims {length} bytes with {end - offset} left in its reply")
        yield body[offset : offset + length]
        offset += length


def groups(body: bytes) -> tuple[GroupEntry, ...]:
    """The groups of an OFPMP_GROUP_DESC reply. Raises CodecError when a length leads astray."""
    return tuple(_group(raw) for raw in _entries(body, _GROUP.size, 0, "group"))


def _group(raw: bytes) -> GroupEntry:
    _, kind, group_id = _GROUP.unpack_from(raw)
    if kind not in {member.value for member in GroupType}:
        raise CodecError(f"group {group_id} has the unknown type {kind}")
    buckets = tuple(_bucket(entry) for entry in _entries(raw[_GROUP.size :], _BUCKET.size, 0, "bucket"))
    return GroupEntry(group_id, GroupType(kind), buckets, raw)


def _bucket(raw: bytes) -> Bucket:
    _, weight, watch_port, watch_group = _BUCKET.unpack_from(raw)
    return Bucket(weight, watch_port, watch_group, decode_actions(raw[_BUCKET.size :])[0])


def meters(body: bytes) -> tuple[MeterEntry, ...]:
    """The meters of an OFPMP_METER_CONFIG reply. Raises CodecError when a length leads astray."""
    return tuple(_meter(raw) for raw in _entries(body, _METER_CONFIG.size, 0, "meter"))


def _meter(raw: bytes) -> MeterEntry:
    _, flags, meter_id = _METER_CONFIG.unpack_from(raw)
    rate = burst = 0
    for band in _entries(raw[_METER_CONFIG.size :], _BAND.size, 2, "meter band"):
        kind, _, band_rate, band_burst = _BAND.unpack_from(band)
        if kind == _DROP_BAND:
            rate, burst = band_rate, band_burst
    return MeterEntry(meter_id, rate, burst, bool(flags & _PACKETS_PER_SECOND), raw)


def meter_counters(body: bytes) -> tuple[MeterCounters, ...]:
    """The counters of an OFPMP_METER reply. Raises CodecError when a length leads astray."""
    return tuple(_meter_counters(raw) for raw in _entries(body, _METER_STATS.size, 4, "meter statistics"))


def _meter_counters(raw: bytes) -> MeterCounters:
    meter_id, _, _, packets_in, *_ = _METER_STATS.unpack_from(raw)
    bands = raw[_METER_STATS.size :]
    dropped = sum(packets for packets, _ in _BAND_STATS.iter_unpack(bands[: len(bands) // 16 * 16]))
    return MeterCounters(meter_id, packets_in, dropped)


def _whole(body: bytes, size: int, what: str) -> bytes:
    if len(body) % size:
        raise CodecError(f"{what} reply of {len(body)} bytes is not a whole number of {size}-byte entries")
    return body


def ports(body: bytes) -> tuple[PortDescription, ...]:
    """The ports of an OFPMP_PORT_DESC reply; names longer than 15 characters arrive cut."""
    return tuple(
        PortDescription(
            ofport=number,
            name=name.split(b"\0", 1)[0].decode(errors="replace"),
            hardware_address=address.hex(":"),
            link_down=bool(state & _DOWN),
            admin_down=bool(config & _DOWN),
            no_receive=bool(config & _NO_RECEIVE),
            no_forward=bool(config & _NO_FORWARD),
        )
        for number, address, name, config, state in _PORT.iter_unpack(_whole(body, _PORT.size, "port description"))
    )


def port_counters(body: bytes) -> tuple[PortCounters, ...]:
    """The counters of an OFPMP_PORT_STATS reply; all ones is what is not counted."""
    return tuple(
        PortCounters(row[0], *(None if count == _NOT_COUNTED else count for count in (*row[1:3], *row[5:7])))
        for row in _PORT_STATS.iter_unpack(_whole(body, _PORT_STATS.size, "port statistics"))
    )


def queue_counters(body: bytes) -> tuple[QueueCounters, ...]:
    """The counters of an OFPMP_QUEUE reply: what Open vSwitch calls an error of a queue is a packet it dropped."""
    rows = _QUEUE_STATS.iter_unpack(_whole(body, _QUEUE_STATS.size, "queue statistics"))
    return tuple(QueueCounters(ofport, queue_id, sent, dropped) for ofport, queue_id, _, sent, dropped, _, _ in rows)
