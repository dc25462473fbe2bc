"""Turns what we want of a bridge into OpenFlow 1.3 requests (all but FlowMods and MeterMods: ``changes``)."""

import struct
from enum import IntEnum

from vtrace_ovs.codecs.framing import MessageType, message, nicira
from vtrace_ovs.codecs.matching import encode_match
from vtrace_ovs.model.actions import OFPP_ANY
from vtrace_ovs.model.match import Match

ALL_TABLES = 0xFF
_OFPG_ANY = 0xFFFFFFFF
_OFPM_ALL = 0xFFFFFFFF
_OFPQ_ALL = 0xFFFFFFFF
_NXT_SET_PACKET_IN_FORMAT = 16
_NXT_SET_CONTROLLER_ID = 20
_NXPIF_NXT_PACKET_IN2 = 2
_OFPR_ACTION = 1

_HELLO_VERSIONS = struct.pack("!HHI", 1, 8, 1 << 4)
_CONFIG = struct.Struct("!HH")
_CONTROLLER_ID = struct.Struct("!6xH")
_ASYNC = struct.Struct("!6I")
_MULTIPART = struct.Struct("!HH4x")
_FLOW_STATS = struct.Struct("!B3xII4xQQ")
_ALL_METERS = struct.pack("!I4x", _OFPM_ALL)
_ALL_PORTS = struct.pack("!I4x", OFPP_ANY)
_ALL_QUEUES = struct.pack("!II", OFPP_ANY, _OFPQ_ALL)


class MultipartType(IntEnum):
    """OpenFlow 1.3.5 §7.3.5 ``ofp_multipart_type``: the ones this tool asks for."""

    FLOW = 1
    PORT_STATS = 4
    QUEUE = 5
    GROUP_DESC = 7
    METER = 9
    METER_CONFIG = 10
    PORT_DESC = 13


def hello(xid: int) -> bytes:
    """HELLO offering OpenFlow 1.3 and nothing else."""
    return message(MessageType.HELLO, xid, _HELLO_VERSIONS)


def echo_request(xid: int, payload: bytes = b"") -> bytes:
    """ECHO_REQUEST; the bridge sends ``payload`` back."""
    return message(MessageType.ECHO_REQUEST, xid, payload)


def echo_reply(xid: int, payload: bytes) -> bytes:
    """ECHO_REPLY with the request's own xid and payload."""
    return message(MessageType.ECHO_REPLY, xid, payload)


def features_request(xid: int) -> bytes:
    """FEATURES_REQUEST."""
    return message(MessageType.FEATURES_REQUEST, xid)


def get_config_request(xid: int) -> bytes:
    """GET_CONFIG_REQUEST."""
    return message(MessageType.GET_CONFIG_REQUEST, xid)


def set_config(flags: int, miss_send_len: int, xid: int) -> bytes:
    """SET_CONFIG. ``flags`` holds the bridge's fragment mode: send back the bits GET_CONFIG gave (design D1)."""
    return message(MessageType.SET_CONFIG, xid, _CONFIG.pack(flags, miss_send_len))


def barrier_request(xid: int) -> bytes:
    """BARRIER_REQUEST: answered when everything before it has taken effect."""
    return message(MessageType.BARRIER_REQUEST, xid)


def set_controller_id(controller_id: int, xid: int) -> bytes:
    """NXT_SET_CONTROLLER_ID: only ``controller(id=…)`` actions with this id (16 bits) reach this connection."""
    return nicira(_NXT_SET_CONTROLLER_ID, xid, _CONTROLLER_ID.pack(controller_id))


def set_packet_in_format(xid: int) -> bytes:
    """NXT_SET_PACKET_IN_FORMAT: send packet-ins as NXT_PACKET_IN2, the only form with user data."""
    return nicira(_NXT_SET_PACKET_IN_FORMAT, xid, struct.pack("!I", _NXPIF_NXT_PACKET_IN2))


def set_async(xid: int, packet_in: int = 1 << _OFPR_ACTION, port_status: int = 0, flow_removed: int = 0) -> bytes:
    """SET_ASYNC: bit masks of the reasons for which asynchronous messages are wanted, in any role.

    The default wants packet-ins from actions and nothing else (OpenFlow 1.3.5 §7.3.10).
    """
    masks = (packet_in, packet_in, port_status, port_status, flow_removed, flow_removed)
    return message(MessageType.SET_ASYNC, xid, _ASYNC.pack(*masks))


def _multipart(kind: int, xid: int, body: bytes = b"") -> bytes:
    return message(MessageType.MULTIPART_REQUEST, xid, _MULTIPART.pack(kind, 0) + body)


def flow_stats_request(
    xid: int, table_id: int = ALL_TABLES, cookie: int = 0, cookie_mask: int = 0, match: Match | None = None
) -> bytes:
    """Ask for the flows of a table whose cookie agrees with ``cookie`` under the mask, and that ``match`` covers."""
    head = _FLOW_STATS.pack(table_id, OFPP_ANY, _OFPG_ANY, cookie, cookie_mask)
    return _multipart(MultipartType.FLOW, xid, head + encode_match(match or Match()))


def group_desc_request(xid: int) -> bytes:
    """Ask for all groups."""
    return _multipart(MultipartType.GROUP_DESC, xid)


def meter_config_request(xid: int) -> bytes:
    """Ask for all meters as configured."""
    return _multipart(MultipartType.METER_CONFIG, xid, _ALL_METERS)


def meter_stats_request(xid: int) -> bytes:
    """Ask for the counters of all meters."""
    return _multipart(MultipartType.METER, xid, _ALL_METERS)


def port_desc_request(xid: int) -> bytes:
    """Ask for all ports."""
    return _multipart(MultipartType.PORT_DESC, xid)


def port_stats_request(xid: int) -> bytes:
    """Ask for the counters of all ports."""
    return _multipart(MultipartType.PORT_STATS, xid, _ALL_PORTS)


def queue_stats_request(xid: int) -> bytes:
    """Ask for the counters of all queues of all ports."""
    return _multipart(MultipartType.QUEUE, xid, _ALL_QUEUES)
