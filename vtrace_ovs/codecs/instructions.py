"""Turns instruction bytes into model instructions and back (OpenFlow 1.3.5 §7.2.4)."""

import struct
from enum import IntEnum
from functools import lru_cache
from typing import assert_never

from vtrace_ovs.codecs.action_decoding import decode_actions
from vtrace_ovs.codecs.action_encoding import encode_actions
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    GotoTable,
    Instruction,
    Meter,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)

_ACTIONS = struct.Struct("!HH4x")
_TABLE = struct.Struct("!HHB3x")
_METADATA = struct.Struct("!HH4xQQ")
_METER_ID = struct.Struct("!HHI")


class _Kind(IntEnum):
    GOTO_TABLE = 1
    WRITE_METADATA = 2
    WRITE_ACTIONS = 3
    APPLY_ACTIONS = 4
    CLEAR_ACTIONS = 5
    METER = 6


def _decode(kind: int, raw: bytes) -> Instruction:
    match kind:
        case _Kind.APPLY_ACTIONS:
            return ApplyActions(*decode_actions(raw[8:]))
        case _Kind.WRITE_ACTIONS:
            return WriteActions(*decode_actions(raw[8:]))
        case _Kind.GOTO_TABLE:
            return GotoTable(raw[4])
        case _Kind.WRITE_METADATA:
            _, _, value, mask = _METADATA.unpack(raw)
            return WriteMetadata(value, mask)
        case _Kind.CLEAR_ACTIONS:
            return ClearActions()
        case _Kind.METER:
            return Meter(int.from_bytes(raw[4:8]))
        case _:
            return UnknownInstruction(f"instruction {kind}", raw)


@lru_cache(maxsize=1 << 17)
def decode_instructions(body: bytes) -> tuple[Instruction, ...]:
    """The instructions of a flow entry. Raises CodecError when a length leads astray."""
    found: list[Instruction] = []
    offset, end = 0, len(body)
    while offset < end:
        kind, length = int.from_bytes(body[offset : offset + 2]), int.from_bytes(body[offset + 2 : offset + 4])
        if length < _ACTIONS.size or offset + length > end:
            raise CodecError(f"instruction {kind} claims {length} bytes with {end - offset} left in its flow")
        try:
            found.append(_decode(kind, body[offset : offset + length]))
        except struct.error as error:
            raise CodecError(f"instruction {kind} of {length} bytes has the wrong size") from error
        offset += length
    return tuple(found)


def _with_actions(kind: int, body: bytes) -> bytes:
    return _ACTIONS.pack(kind, _ACTIONS.size + len(body)) + body


def encode_instruction(instruction: Instruction) -> bytes:
    """One instruction on the wire. Raises CodecError where an action in it cannot be expressed."""
    match instruction:
        case ApplyActions(actions, raw):
            return _with_actions(_Kind.APPLY_ACTIONS, encode_actions(actions, raw))
        case WriteActions(actions, raw):
            return _with_actions(_Kind.WRITE_ACTIONS, encode_actions(actions, raw))
        case ClearActions():
            return _with_actions(_Kind.CLEAR_ACTIONS, b"")
        case GotoTable(table_id):
            return _TABLE.pack(_Kind.GOTO_TABLE, _TABLE.size, table_id)
        case WriteMetadata(value, mask):
            return _METADATA.pack(_Kind.WRITE_METADATA, _METADATA.size, value, mask)
        case Meter(meter_id):
            return _METER_ID.pack(_Kind.METER, _METER_ID.size, meter_id)
        case UnknownInstruction(_, raw_bytes):
            return raw_bytes
        case _:
            assert_never(instruction)


def encode_instructions(instructions: tuple[Instruction, ...]) -> bytes:
    """All instructions of a flow entry."""
    return b"".join(map(encode_instruction, instructions))
