import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.framing import Message, MessageType, message, messages, nicira
from vtrace_ovs.errors import CodecError


@given(st.lists(st.binary(max_size=40), max_size=5), st.data())
def test_a_stream_cut_anywhere_gives_the_same_messages(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(message(MessageType.ECHO_REPLY, xid, body) for xid, body in enumerate(bodies))
    cut = data.draw(st.integers(0, len(stream)))
    first, rest = messages(stream[:cut])
    second, end = messages(rest + stream[cut:])
    assert [found.body for found in first + second] == bodies
    assert end == b""


@given(st.binary(max_size=100))
def test_any_bytes_are_messages_or_a_codec_error(stream: bytes) -> None:
    try:
        found, rest = messages(stream)
    except CodecError:
        return
    assert sum(len(one.body) + 8 for one in found) + len(rest) == len(stream)


def test_a_message_keeps_version_type_and_xid() -> None:
    assert messages(bytes.fromhex("0600000800000007")) == ((Message(6, 0, 7, b""),), b"")


def test_a_length_below_the_header_ends_the_stream() -> None:
    with pytest.raises(CodecError, match="less than its header"):
        messages(bytes.fromhex("0400000700000007"))


def test_a_message_too_long_for_openflow_is_refused() -> None:
    with pytest.raises(CodecError, match="does not fit"):
        message(MessageType.FLOW_MOD, 1, bytes(70000))


def test_a_nicira_message_names_vendor_and_subtype() -> None:
    assert nicira(20, 1, b"x" * 8)[8:16] == bytes.fromhex("00002320 00000014")
