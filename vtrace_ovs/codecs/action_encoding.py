"""Turns model actions into wire bytes (OpenFlow 1.3.5 §7.2.5, OVS lib/ofp-actions.c); kept bytes always win."""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

from vtrace_ovs.codecs import action_layouts as wire
from vtrace_ovs.codecs.action_layouts import ControllerProperty, Nicira, Standard
from vtrace_ovs.codecs.matching import encode_tlv, header, port16
from vtrace_ovs.codecs.nat_ranges import range_bytes
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    Action,
    Bundle,
    CheckPacketLarger,
    Clone,
    Conjunction,
    Conntrack,
    ConntrackClear,
    Controller,
    DecMplsTtl,
    DecTtl,
    Exit,
    Group,
    Learn,
    Meter,
    Move,
    Multipath,
    Nat,
    Neutral,
    Note,
    Output,
    OutputSubField,
    Pop,
    PopMpls,
    PopVlan,
    Push,
    PushMpls,
    PushVlan,
    Resubmit,
    SetField,
    SetTunnelId,
    UnknownAction,
)
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import IN_PORT, NICIRA, SubField

_MOST_LOADED = 64
_ALL_OF_16 = wire.ofs_nbits(0, 16)
_NXM_OF_IN_PORT = 0x00000002  # OVS refuses to set the 32-bit OXM one


def _nicira(subtype: Nicira, body: bytes = b"", least: int = 16) -> bytes:
    length = max(least, (wire.BODY + len(body) + 7) // 8 * 8)
    return (wire.NICIRA_HEADER.pack(wire.EXPERIMENTER, length, NICIRA, subtype) + body).ljust(length, b"\0")


def _empty(kind: Standard) -> bytes:
    return wire.EMPTY.pack(kind, 8)


def _output(action: Output) -> bytes:
    if action.max_len and action.port != OFPP_CONTROLLER:
        return _nicira(Nicira.OUTPUT_TRUNC, wire.OUTPUT_TRUNC.pack(port16(action.port), action.max_len))
    return wire.OUTPUT.pack(Standard.OUTPUT, 16, action.port, action.max_len)


def _output_sub_field(action: OutputSubField) -> bytes:
    source = action.source
    packed = wire.ofs_nbits(source.offset, source.width)
    return _nicira(Nicira.OUTPUT_REG2, wire.HEADER.pack(packed, action.max_len) + header(source.field), 24)


def _set_field(action: SetField) -> bytes:
    target = action.field
    if target is IN_PORT and action.mask == target.full_mask:
        return _nicira(Nicira.REG_LOAD, wire.LOAD.pack(_ALL_OF_16, _NXM_OF_IN_PORT, port16(action.value)), 24)
    if action.mask == target.full_mask:
        tlv = encode_tlv(MaskedField(target, action.value, action.mask))
        return (wire.HEADER.pack(Standard.SET_FIELD, (11 + len(tlv)) // 8 * 8) + tlv).ljust(
            (11 + len(tlv)) // 8 * 8, b"\0"
        )
    part = _contiguous(action)
    if part is not None and target.experimenter is None:
        packed = wire.ofs_nbits(part.offset, part.width)
        value = action.value >> part.offset
        return _nicira(Nicira.REG_LOAD, struct.pack("!H", packed) + header(target) + struct.pack("!Q", value), 24)
    value_bytes, mask_bytes = (bits.to_bytes(target.n_bytes) for bits in (action.value & action.mask, action.mask))
    return _nicira(Nicira.REG_LOAD2, header(target, has_mask=True) + value_bytes + mask_bytes)


def _contiguous(action: SetField) -> SubField | None:
    offset = (action.mask & -action.mask).bit_length() - 1
    width = action.mask.bit_length() - offset
    whole = action.mask == ((1 << width) - 1) << offset
    return SubField(action.field, offset, width) if whole and width <= _MOST_LOADED else None


def _move(action: Move) -> bytes:
    source, destination = action.source, action.destination
    body = wire.MOVE.pack(source.width, source.offset, destination.offset)
    return _nicira(Nicira.REG_MOVE, body + header(source.field) + header(destination.field), 24)


def _stack(subtype: Nicira, part: SubField) -> bytes:
    body = wire.STACK_OFFSET.pack(part.offset) + header(part.field) + struct.pack("!H", part.width)
    return _nicira(subtype, body, 24)


def _resubmit(action: Resubmit) -> bytes:
    subtype = Nicira.RESUBMIT_TABLE_CT if action.with_conntrack else Nicira.RESUBMIT_TABLE
    port = wire.IN_PORT_16 if action.in_port is None else port16(action.in_port)
    table_id = wire.CURRENT_TABLE if action.table_id is None else action.table_id
    return _nicira(subtype, wire.RESUBMIT.pack(port, table_id))


def _property(kind: ControllerProperty, payload: bytes) -> bytes:
    length = wire.PROPERTY.size + len(payload)
    return (wire.PROPERTY.pack(kind, length) + payload).ljust((length + 7) // 8 * 8, b"\0")


def _controller(action: Controller) -> bytes:
    body = bytes(6)
    if action.max_len != wire.ALL_BITS_16:
        body += _property(ControllerProperty.MAX_LEN, struct.pack("!H2x", action.max_len))
    if action.controller_id:
        body += _property(ControllerProperty.CONTROLLER_ID, struct.pack("!H2x", action.controller_id))
    if action.reason != 1:
        body += _property(ControllerProperty.REASON, struct.pack("!B3x", action.reason))
    if action.userdata:
        body += _property(ControllerProperty.USERDATA, action.userdata)
    if action.pause:
        body += _property(ControllerProperty.PAUSE, b"")
    if action.meter_id is not None:
        body += _property(ControllerProperty.METER_ID, struct.pack("!I", action.meter_id))
    return _nicira(Nicira.CONTROLLER2, body)


def _dec_ttl(action: DecTtl) -> bytes:
    if action.controller_ids == (0,):
        return _empty(Standard.DEC_NW_TTL)
    ids = action.controller_ids
    return _nicira(Nicira.DEC_TTL_CNT_IDS, wire.COUNTER_IDS.pack(len(ids)) + struct.pack(f"!{len(ids)}H", *ids))


def _conntrack(action: Conntrack) -> bytes:
    flags = (wire.CT_COMMIT if action.commit else 0) | (wire.CT_FORCE if action.force else 0)
    source, zone = 0, action.zone
    if isinstance(zone, SubField):
        source, zone = int.from_bytes(header(zone.field)[:4]), wire.ofs_nbits(zone.offset, zone.width)
    table_id = wire.CURRENT_TABLE if action.table_id is None else action.table_id
    head = wire.CT.pack(flags, source, zone, table_id, action.alg)
    return _nicira(Nicira.CT, head + encode_actions(action.nested, action.raw))


def _nat(action: Nat) -> bytes:
    options, present, body = range_bytes(action.range_text)
    flags = options | (wire.NAT_SRC if action.source else 0) | (wire.NAT_DST if action.destination else 0)
    return _nicira(Nicira.NAT, wire.NAT.pack(flags, present) + body)


def _check_packet_larger(action: CheckPacketLarger) -> bytes:
    part = action.destination
    return _nicira(
        Nicira.CHECK_PKT_LARGER, wire.CHECK_PKT_LARGER.pack(action.length, part.offset) + header(part.field), 24
    )


def _conjunction(action: Conjunction) -> bytes:
    packed = wire.CONJUNCTION.pack(action.clause, action.n_clauses, action.conjunction_id)
    return _nicira(Nicira.CONJUNCTION, packed)


def _no_bytes(action: Learn | Meter) -> bytes:
    raise CodecError(f"{type(action).__name__} can only be sent with the bytes it was read with")


_ENCODERS: dict[type[Any], Callable[[Any], bytes]] = {
    Output: _output,
    OutputSubField: _output_sub_field,
    Group: lambda action: wire.UINT32.pack(Standard.GROUP, 8, action.group_id),
    SetField: _set_field,
    Move: _move,
    Push: lambda action: _stack(Nicira.STACK_PUSH, action.source),
    Pop: lambda action: _stack(Nicira.STACK_POP, action.destination),
    Resubmit: _resubmit,
    Controller: _controller,
    PushVlan: lambda action: wire.ETHERTYPE.pack(Standard.PUSH_VLAN, 8, action.eth_type),
    PopVlan: lambda _: _empty(Standard.POP_VLAN),
    PushMpls: lambda action: wire.ETHERTYPE.pack(Standard.PUSH_MPLS, 8, action.eth_type),
    PopMpls: lambda action: wire.ETHERTYPE.pack(Standard.POP_MPLS, 8, action.eth_type),
    DecMplsTtl: lambda _: _empty(Standard.DEC_MPLS_TTL),
    DecTtl: _dec_ttl,
    Meter: _no_bytes,
    Conntrack: _conntrack,
    Nat: _nat,
    ConntrackClear: lambda _: _nicira(Nicira.CT_CLEAR),
    Clone: lambda action: _nicira(Nicira.CLONE, bytes(6) + encode_actions(action.nested, action.raw)),
    SetTunnelId: lambda action: _nicira(Nicira.SET_TUNNEL64, struct.pack("!6xQ", action.tun_id)),
    Learn: _no_bytes,
    Note: lambda action: _nicira(Nicira.NOTE, action.note),
    Exit: lambda _: _nicira(Nicira.EXIT),
    Conjunction: _conjunction,
    CheckPacketLarger: _check_packet_larger,
    Multipath: lambda action: action.raw,
    Bundle: lambda action: action.raw,
    Neutral: lambda action: action.raw,
    UnknownAction: lambda action: action.raw,
}


@lru_cache(maxsize=4096)  # ours are in one bridge's flows as in another's
def encode_action(action: Action) -> bytes:
    """One action on the wire. Raises CodecError for actions that only their own kept bytes can express."""
    try:
        return _ENCODERS[type(action)](action)
    except (struct.error, OverflowError) as error:
        raise CodecError(f"{action} has a value that does not fit its place: {error}") from error


def encode_actions(actions: Sequence[Action], raw: Sequence[bytes]) -> bytes:
    """An action list: ``raw[i]`` where it is not empty, else ``actions[i]`` encoded."""
    kept = chain(raw, repeat(b""))
    return b"".join([octets or encode_action(action) for action, octets in zip(actions, kept, strict=False)])
