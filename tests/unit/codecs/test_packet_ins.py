import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.codecs.packet_ins import is_packet_in, packet_in
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.oxm import REGISTERS, TUN_ID

HEAD = bytes.fromhex("00002320 0000001e")


def prop(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("!HH", kind, length) + payload + bytes(-length % 8)


def message(*properties: bytes) -> Message:
    return Message(4, MessageType.EXPERIMENTER, 0, HEAD + b"".join(properties))


def test_every_property_is_read() -> None:
    seen = packet_in(
        message(
            prop(0, b"frame"),
            prop(1, struct.pack("!I", 98)),
            prop(3, bytes([7, 0, 0, 0])),
            prop(4, struct.pack("!IQ", 0, 0x5654)),
            prop(5, bytes([1, 0, 0, 0])),
            prop(6, bytes.fromhex("80004c08 0000000000000042 00010604 00000abc")),
            prop(7, b"user data"),
        ),
        dpid=3,
        received_at=1.5,
    )
    assert (seen.frame, seen.total_length, seen.table_id, seen.cookie) == (b"frame", 98, 7, 0x5654)
    assert (seen.reason, seen.userdata, seen.dpid, seen.received_at) == (1, b"user data", 3, 1.5)
    assert seen.metadata == ((TUN_ID, 0x42), (REGISTERS[3], 0xABC))


def test_a_whole_frame_is_as_long_as_it_is() -> None:
    seen = packet_in(message(prop(0, b"frame")), 1, 0.0)
    assert seen.total_length == 5
    assert seen.cookie == 0xFFFF_FFFF_FFFF_FFFF


def test_other_messages_are_not_packet_ins() -> None:
    other = Message(4, MessageType.BARRIER_REPLY, 0, b"")
    assert not is_packet_in(other)
    with pytest.raises(CodecError, match="not an NXT_PACKET_IN2"):
        packet_in(other, 1, 0.0)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_in_or_a_codec_error(octets: bytes) -> None:
    try:
        packet_in(message(octets), 1, 0.0)
    except CodecError:
        return
