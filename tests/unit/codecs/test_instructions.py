import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.instructions import decode_instructions, encode_instructions
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    GotoTable,
    Instruction,
    Meter,
    Output,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)

OUTPUT_1 = bytes.fromhex("0000001000000001 0000000000000000")


def test_every_instruction_survives_the_wire() -> None:
    sent: tuple[Instruction, ...] = (
        Meter(5),
        ApplyActions((Output(1),)),
        ClearActions(),
        WriteActions((Output(1),)),
        WriteMetadata(3, 0xF),
        GotoTable(7),
    )
    assert decode_instructions(encode_instructions(sent)) == (
        Meter(5),
        ApplyActions((Output(1),), (OUTPUT_1,)),
        ClearActions(),
        WriteActions((Output(1),), (OUTPUT_1,)),
        WriteMetadata(3, 0xF),
        GotoTable(7),
    )


def test_an_unknown_instruction_keeps_its_bytes() -> None:
    raw = bytes.fromhex("ffff000800002320")
    assert decode_instructions(raw) == (UnknownInstruction("instruction 65535", raw),)
    assert encode_instructions(decode_instructions(raw)) == raw


@given(st.binary(max_size=64))
def test_any_bytes_are_instructions_or_a_codec_error(octets: bytes) -> None:
    try:
        decode_instructions(octets)
    except CodecError:
        return


@pytest.mark.parametrize("octets", ["0001", "0001000401000000", "0002000800000000", "0004001000000000"])
def test_a_length_that_leads_astray_is_a_codec_error(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_instructions(bytes.fromhex(octets))
