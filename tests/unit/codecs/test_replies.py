from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.codecs.replies import (
    Assembly,
    Part,
    SwitchConfig,
    SwitchFeatures,
    features_reply,
    get_config_reply,
    hello_versions,
    multipart_part,
    refusal,
)
from vtrace_ovs.errors import CodecError

READERS: list[tuple[MessageType, Callable[[Message], object]]] = [
    (MessageType.HELLO, hello_versions),
    (MessageType.FEATURES_REPLY, features_reply),
    (MessageType.GET_CONFIG_REPLY, get_config_reply),
    (MessageType.ERROR, refusal),
    (MessageType.MULTIPART_REPLY, multipart_part),
]


def part(xid: int, body: bytes, more: bool) -> Message:
    return Message(4, MessageType.MULTIPART_REPLY, xid, bytes([0, 1, 0, more, 0, 0, 0, 0]) + body)


@given(st.sampled_from(READERS), st.binary(max_size=40))
def test_any_body_is_a_reply_or_a_codec_error(
    reader: tuple[MessageType, Callable[[Message], object]], body: bytes
) -> None:
    kind, read = reader
    try:
        read(Message(4, kind, 1, body))
    except CodecError:
        return


@pytest.mark.parametrize("reader", READERS)
def test_another_message_is_a_codec_error(reader: tuple[MessageType, Callable[[Message], object]]) -> None:
    with pytest.raises(CodecError):
        reader[1](Message(4, MessageType.BARRIER_REPLY, 1, bytes(64)))


def test_a_hello_offers_its_bitmap_or_all_up_to_its_version() -> None:
    assert hello_versions(Message(6, MessageType.HELLO, 1, bytes.fromhex("0001000800000012"))) == {1, 4}
    assert hello_versions(Message(4, MessageType.HELLO, 1, b"")) == {1, 2, 3, 4}


def test_features_and_config_are_read() -> None:
    body = bytes.fromhex("00000000000000ab 00000000 fe 00 0000 0000004f 00000000")
    assert features_reply(Message(4, MessageType.FEATURES_REPLY, 1, body)) == SwitchFeatures(0xAB, 254)
    assert get_config_reply(Message(4, MessageType.GET_CONFIG_REPLY, 1, b"\0\1\0\x80")) == SwitchConfig(1, 128)


def test_a_refusal_names_the_error_and_the_request() -> None:
    found = refusal(Message(4, MessageType.ERROR, 9, bytes.fromhex("00040009 040e")))
    assert (found.xid, found.name, found.request) == (9, "OFPBMC_BAD_PREREQ", b"\x04\x0e")


def test_a_nicira_refusal_has_its_own_names() -> None:
    found = refusal(Message(4, MessageType.ERROR, 9, bytes.fromhex("ffff000f 00002320 040e")))
    assert (found.name, found.code, found.request) == ("NXBAC_BAD_CONJUNCTION", 15, b"\x04\x0e")


def test_parts_are_gathered_by_xid_until_the_last() -> None:
    assembly = Assembly()
    assert assembly.add(part(1, b"a", more=True)) is None
    assert assembly.add(part(2, b"x", more=True)) is None
    assert assembly.add(part(1, b"b", more=True)) is None
    assert assembly.add(part(1, b"c", more=False)) == Part(1, more=False, body=b"abc")
    assert assembly.add(part(2, b"y", more=False)) == Part(1, more=False, body=b"xy")
