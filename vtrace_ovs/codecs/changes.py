"""Turns FlowMods and MeterMods into OpenFlow 1.3 messages (§7.3.4.1, §7.3.4.6)."""

import struct

from vtrace_ovs.codecs.framing import MessageType, message
from vtrace_ovs.codecs.instructions import encode_instructions
from vtrace_ovs.codecs.matching import encode_match
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_ANY
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand

_OFP_NO_BUFFER = 0xFFFFFFFF
_OFPG_ANY = 0xFFFFFFFF
_FLOW_MOD = struct.Struct("!QQBBHHHIIIH2x")
_METER_MOD = struct.Struct("!HHI")
_DROP_BAND = struct.Struct("!HHII4x")
_OFPMBT_DROP = 1
_PACKETS_BURST_AND_STATISTICS = 2 | 4 | 8
_DELETIONS = (FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT)


def flow_mod(mod: FlowMod, xid: int) -> bytes:
    """One FLOW_MOD.

    Raises CodecError for a deletion without cookie mask (it would delete somebody else's flows), and for a value or a
    list of actions too big for its place.
    """
    if mod.command in _DELETIONS and not mod.cookie_mask:
        raise CodecError(
            f"deletion in table {mod.table_id} has no cookie mask; it would delete flows that are not ours"
        )
    try:
        return message(MessageType.FLOW_MOD, xid, _flow_mod_body(mod))
    except struct.error as error:
        raise CodecError(
            f"flow of table {mod.table_id}, priority {mod.priority} does not fit OpenFlow: {error}"
        ) from error


def _flow_mod_body(mod: FlowMod) -> bytes:
    head = _FLOW_MOD.pack(
        mod.cookie,
        mod.cookie_mask,
        mod.table_id,
        mod.command.value,
        0,
        mod.hard_timeout,
        mod.priority,
        _OFP_NO_BUFFER,
        OFPP_ANY,
        _OFPG_ANY,
        0,
    )
    return head + encode_match(mod.match) + encode_instructions(mod.instructions)


def meter_mod(mod: MeterMod, xid: int) -> bytes:
    """One METER_MOD: a drop band in packets per second, with burst and statistics."""
    head = _METER_MOD.pack(mod.command.value, _PACKETS_BURST_AND_STATISTICS, mod.meter_id)
    if mod.command is MeterModCommand.DELETE:
        return message(MessageType.METER_MOD, xid, head)
    band = _DROP_BAND.pack(_OFPMBT_DROP, _DROP_BAND.size, mod.rate, mod.burst)
    return message(MessageType.METER_MOD, xid, head + band)
