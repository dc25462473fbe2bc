"""Turns action bytes into model actions, each beside its exact bytes (OpenFlow 1.3.5 §7.2.5, OVS lib/ofp-actions.c)."""

import struct
from collections.abc import Callable
from functools import lru_cache

from vtrace_ovs.codecs import action_layouts as wire
from vtrace_ovs.codecs.action_layouts import ControllerProperty, Nicira, Standard
from vtrace_ovs.codecs.matching import canonical, decode_header, decode_tlv, port32
from vtrace_ovs.codecs.nat_ranges import range_text
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
from vtrace_ovs.model.oxm import IN_PORT, NICIRA, ONF, Field, SubField, components, field

_NW_TTL = field("nw_ttl")
_MPLS_TTL = field("mpls_ttl")
_MPLS_LABEL = field("mpls_label")
_MPLS_TC = field("mpls_tc")
_IN_PORT_16 = SubField(IN_PORT, 0, 16)
_COPY_FIELD = 3200
_CT_NESTED = 24
_CLONE_NESTED = 16


def _set(masked: MaskedField) -> SetField:
    for low, part in components(masked.field):
        mask = (masked.mask >> low) & part.field.full_mask
        if len(components(masked.field)) == 1:
            value = (masked.value >> low) & mask
            return SetField(part.field, value << part.offset, mask << part.offset)
    return SetField(masked.field, masked.value, masked.mask)


def _u32(raw: bytes) -> int:
    return int.from_bytes(raw[4:8])


def _ethertype(raw: bytes) -> int:
    return int.from_bytes(raw[4:6])


def _output(raw: bytes) -> Action:
    _, _, port, max_len = wire.OUTPUT.unpack(raw)
    return Output(port, max_len if port == OFPP_CONTROLLER else 0)


def _set_field(raw: bytes) -> Action:
    return _set(decode_tlv(raw[4 : 8 + raw[7]]))


def _whole(target: Field, value: int) -> SetField:
    return SetField(target, value, target.full_mask)


_STANDARD: dict[int, Callable[[bytes], Action]] = {
    Standard.OUTPUT: _output,
    Standard.PUSH_VLAN: lambda raw: PushVlan(_ethertype(raw)),
    Standard.POP_VLAN: lambda _: PopVlan(),
    Standard.PUSH_MPLS: lambda raw: PushMpls(_ethertype(raw)),
    Standard.POP_MPLS: lambda raw: PopMpls(_ethertype(raw)),
    Standard.DEC_MPLS_TTL: lambda _: DecMplsTtl(),
    Standard.SET_QUEUE: lambda raw: Neutral("set_queue", raw),
    Standard.GROUP: lambda raw: Group(_u32(raw)),
    Standard.SET_NW_TTL: lambda raw: _whole(_NW_TTL, raw[4]),
    Standard.SET_MPLS_TTL: lambda raw: _whole(_MPLS_TTL, raw[4]),
    Standard.DEC_NW_TTL: lambda _: DecTtl(),
    Standard.SET_FIELD: _set_field,
}


def _bits(raw: bytes, at: int, offset: int, width: int) -> tuple[SubField, int]:
    found, end = decode_header(raw, at)
    return canonical(SubField(found, offset, width)), end


def _resubmit(raw: bytes) -> Action:
    return Resubmit(port32(wire.RESUBMIT.unpack_from(raw, wire.BODY)[0]), None)


def _learn(raw: bytes) -> Action:
    _, _, priority, *_, table_id = wire.LEARN.unpack_from(raw, wire.BODY)
    return Learn(table_id, priority)


def _resubmit_table(raw: bytes, with_conntrack: bool = False) -> Action:
    port, table_id = wire.RESUBMIT.unpack_from(raw, wire.BODY)
    in_port = None if port == wire.IN_PORT_16 else port32(port)
    return Resubmit(in_port, None if table_id == wire.CURRENT_TABLE else table_id, with_conntrack)


def _move(raw: bytes) -> Action:
    n_bits, source_offset, destination_offset = wire.MOVE.unpack_from(raw, wire.BODY)
    source, end = _bits(raw, 16, source_offset, n_bits)
    return Move(source, _bits(raw, end, destination_offset, n_bits)[0])


def _copy_field(raw: bytes) -> Action:
    n_bits, source_offset, destination_offset = wire.MOVE.unpack_from(raw, 12)
    source, end = _bits(raw, 20, source_offset, n_bits)
    return Move(source, _bits(raw, end, destination_offset, n_bits)[0])


def _load(raw: bytes) -> Action:
    packed, _, value = wire.LOAD.unpack_from(raw, wire.BODY)
    target = _bits(raw, wire.BODY + 2, *wire.split_ofs_nbits(packed))[0]
    if target == _IN_PORT_16:
        return _whole(IN_PORT, port32(value))
    return SetField(target.field, value << target.offset & target.mask, target.mask)


def _load2(raw: bytes) -> Action:
    start = wire.BODY
    return _set(decode_tlv(raw[start : start + 4 + raw[start + 3]]))


def _stack(raw: bytes) -> SubField:
    (offset,) = wire.STACK_OFFSET.unpack_from(raw, wire.BODY)
    found, end = decode_header(raw, wire.BODY + 2)
    return canonical(SubField(found, offset, int.from_bytes(raw[end : end + 2])))


def _output_reg(raw: bytes) -> Action:
    packed, _, max_len = wire.OUTPUT_REG.unpack_from(raw, wire.BODY)
    return OutputSubField(_bits(raw, wire.BODY + 2, *wire.split_ofs_nbits(packed))[0], max_len)


def _output_reg2(raw: bytes) -> Action:
    packed, max_len = wire.HEADER.unpack_from(raw, wire.BODY)
    return OutputSubField(_bits(raw, wire.BODY + 4, *wire.split_ofs_nbits(packed))[0], max_len)


def _output_truncated(raw: bytes) -> Action:
    port, max_len = wire.OUTPUT_TRUNC.unpack_from(raw, wire.BODY)
    return Output(port32(port), max_len)


def _controller(raw: bytes) -> Action:
    max_len, controller_id, reason = wire.CONTROLLER.unpack_from(raw, wire.BODY)
    return Controller(controller_id, max_len, reason)


def _controller2(raw: bytes) -> Action:
    properties: dict[int, bytes] = {}
    offset = 16
    while offset + wire.PROPERTY.size <= len(raw):
        kind, length = wire.PROPERTY.unpack_from(raw, offset)
        if length < wire.PROPERTY.size or offset + length > len(raw):
            raise CodecError(f"controller action property {kind} has impossible length {length}")
        properties[kind] = raw[offset + wire.PROPERTY.size : offset + length]
        offset += (length + 7) // 8 * 8
    if not properties.keys() <= set(ControllerProperty):
        return UnknownAction("controller", raw)
    meter = properties.get(ControllerProperty.METER_ID)
    return Controller(
        controller_id=int.from_bytes(properties.get(ControllerProperty.CONTROLLER_ID, b"")[:2]),
        max_len=int.from_bytes(properties.get(ControllerProperty.MAX_LEN, b"\xff\xff")[:2]),
        reason=properties.get(ControllerProperty.REASON, b"\1")[0],
        userdata=properties.get(ControllerProperty.USERDATA, b""),
        pause=ControllerProperty.PAUSE in properties,
        meter_id=None if meter is None else int.from_bytes(meter[:4]),
    )


def _dec_ttl(raw: bytes) -> Action:
    (n_controllers,) = wire.COUNTER_IDS.unpack_from(raw, wire.BODY)
    return DecTtl(struct.unpack_from(f"!{n_controllers}H", raw, 16))


def _conntrack(raw: bytes) -> Action:
    flags, zone_source, zone, table_id, alg = wire.CT.unpack_from(raw, wire.BODY)
    nested, raws = decode_actions(raw[_CT_NESTED:])
    return Conntrack(
        commit=bool(flags & wire.CT_COMMIT),
        force=bool(flags & wire.CT_FORCE),
        zone=_bits(raw, wire.BODY + 2, *wire.split_ofs_nbits(zone))[0] if zone_source else zone,
        table_id=None if table_id == wire.CURRENT_TABLE else table_id,
        nested=nested,
        alg=alg,
        raw=raws,
    )


def _nat(raw: bytes) -> Action:
    flags, present = wire.NAT.unpack_from(raw, wire.BODY)
    return Nat(bool(flags & wire.NAT_SRC), bool(flags & wire.NAT_DST), range_text(flags, present, raw[16:]))


def _clone(raw: bytes) -> Action:
    return Clone(*decode_actions(raw[_CLONE_NESTED:]))


def _conjunction(raw: bytes) -> Action:
    clause, n_clauses, conjunction_id = wire.CONJUNCTION.unpack_from(raw, wire.BODY)
    return Conjunction(conjunction_id, clause, n_clauses)


def _check_packet_larger(raw: bytes) -> Action:
    length, offset = wire.CHECK_PKT_LARGER.unpack_from(raw, wire.BODY)
    return CheckPacketLarger(length, _bits(raw, wire.BODY + 4, offset, 1)[0])


def _multipath(raw: bytes) -> Action:
    max_link, packed = wire.MULTIPATH.unpack_from(raw, wire.BODY)
    destination = _bits(raw, wire.MULTIPATH_DESTINATION, *wire.split_ofs_nbits(packed))[0]
    return Multipath(max_link + 1, destination, raw)


def _bundle(raw: bytes) -> Action:
    algorithm, n_members, packed, header = wire.BUNDLE.unpack_from(raw, wire.BODY)
    members = struct.unpack_from(f"!{n_members}H", raw, 32)
    destination = _bits(raw, wire.BUNDLE_DESTINATION, *wire.split_ofs_nbits(packed))[0] if header else None
    return Bundle(algorithm == 0, tuple(map(port32, members)), destination, raw)


def _neutral(name: str) -> Callable[[bytes], Action]:
    return lambda raw: Neutral(name, raw)


_NICIRA: dict[int, Callable[[bytes], Action]] = {
    Nicira.RESUBMIT: _resubmit,
    Nicira.SET_TUNNEL: lambda raw: SetTunnelId(int.from_bytes(raw[12:16])),
    Nicira.SET_QUEUE: _neutral("set_queue"),
    Nicira.POP_QUEUE: _neutral("pop_queue"),
    Nicira.REG_MOVE: _move,
    Nicira.REG_LOAD: _load,
    Nicira.NOTE: lambda raw: Note(raw[wire.BODY :]),
    Nicira.SET_TUNNEL64: lambda raw: SetTunnelId(int.from_bytes(raw[16:24])),
    Nicira.RESUBMIT_TABLE: _resubmit_table,
    Nicira.OUTPUT_REG: _output_reg,
    Nicira.LEARN: _learn,
    Nicira.LEARN2: _learn,
    Nicira.EXIT: lambda _: Exit(),
    Nicira.DEC_TTL: lambda _: DecTtl(),
    Nicira.FIN_TIMEOUT: _neutral("fin_timeout"),
    Nicira.CONTROLLER: _controller,
    Nicira.DEC_TTL_CNT_IDS: _dec_ttl,
    Nicira.SET_MPLS_TTL: lambda raw: _whole(_MPLS_TTL, raw[wire.BODY]),
    Nicira.PUSH_MPLS: lambda raw: PushMpls(int.from_bytes(raw[wire.BODY : wire.BODY + 2])),
    Nicira.POP_MPLS: lambda raw: PopMpls(int.from_bytes(raw[wire.BODY : wire.BODY + 2])),
    Nicira.DEC_MPLS_TTL: lambda _: DecMplsTtl(),
    Nicira.SET_MPLS_LABEL: lambda raw: _whole(_MPLS_LABEL, int.from_bytes(raw[12:16])),
    Nicira.SET_MPLS_TC: lambda raw: _whole(_MPLS_TC, raw[wire.BODY]),
    Nicira.MULTIPATH: _multipath,
    Nicira.BUNDLE: _bundle,
    Nicira.BUNDLE_LOAD: _bundle,
    Nicira.STACK_PUSH: lambda raw: Push(_stack(raw)),
    Nicira.STACK_POP: lambda raw: Pop(_stack(raw)),
    Nicira.SAMPLE: _neutral("sample"),
    Nicira.SAMPLE2: _neutral("sample"),
    Nicira.SAMPLE3: _neutral("sample"),
    Nicira.OUTPUT_REG2: _output_reg2,
    Nicira.REG_LOAD2: _load2,
    Nicira.CONJUNCTION: _conjunction,
    Nicira.CT: _conntrack,
    Nicira.NAT: _nat,
    Nicira.CONTROLLER2: _controller2,
    Nicira.OUTPUT_TRUNC: _output_truncated,
    Nicira.GROUP: lambda raw: Group(int.from_bytes(raw[12:16])),
    Nicira.CLONE: _clone,
    Nicira.CT_CLEAR: lambda _: ConntrackClear(),
    Nicira.RESUBMIT_TABLE_CT: lambda raw: _resubmit_table(raw, with_conntrack=True),
    Nicira.CHECK_PKT_LARGER: _check_packet_larger,
}


def _name(kinds: type[Standard] | type[Nicira], number: int) -> str:
    return kinds(number).name.lower() if number in set(kinds) else f"{kinds.__name__.lower()} action {number}"


def _experimenter(raw: bytes) -> Action:
    _, _, vendor, subtype = wire.NICIRA_HEADER.unpack_from(raw)
    if vendor == NICIRA:
        decode = _NICIRA.get(subtype)
        return decode(raw) if decode else UnknownAction(_name(Nicira, subtype), raw)
    if vendor == ONF and subtype == _COPY_FIELD:
        return _copy_field(raw)
    return UnknownAction(f"experimenter {vendor:#x} action {subtype}", raw)


@lru_cache(maxsize=16384)
def decode_action(raw: bytes) -> Action:
    """One action from its exact bytes. Raises CodecError when its insides do not fit its length."""
    kind = int.from_bytes(raw[:2])
    try:
        if kind == wire.EXPERIMENTER:
            return _experimenter(raw)
        decode = _STANDARD.get(kind)
        return decode(raw) if decode else UnknownAction(_name(Standard, kind), raw)
    except (struct.error, IndexError) as error:
        raise CodecError(f"action type {kind:#x} of {len(raw)} bytes is too short for its kind: {error}") from error


def decode_actions(body: bytes) -> tuple[tuple[Action, ...], tuple[bytes, ...]]:
    """An action list: the actions, and each one's wire bytes. Raises CodecError when a length leads astray."""
    actions: list[Action] = []
    raws: list[bytes] = []
    offset, end = 0, len(body)
    while offset < end:
        length = int.from_bytes(body[offset + 2 : offset + 4])
        if length < 8 or length % 8 or offset + length > end:  # noqa: PLR2004  actions come in units of 8 bytes
            raise CodecError(f"an action claims {length} bytes with {end - offset} left in its list")
        raw = body[offset : offset + length]
        actions.append(decode_action(raw))
        raws.append(raw)
        offset += length
    return tuple(actions), tuple(raws)
