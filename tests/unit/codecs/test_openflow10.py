import struct

import pytest

from vtrace_ovs.codecs.framing import Message, MessageType, messages
from vtrace_ovs.codecs.openflow10 import greeting, is_features, no_flood_ports
from vtrace_ovs.errors import CodecError
from vtrace_ovs.model.actions import OFPP_LOCAL

SWITCH = bytes(24)


def port(number: int, config: int) -> bytes:
    return struct.pack("!H6s16sIIIIII", number, b"", b"name", config, 0, 0, 0, 0, 0)


def features(body: bytes) -> Message:
    return Message(1, MessageType.FEATURES_REPLY, 2, body)


def test_the_greeting_is_two_whole_messages_of_version_1() -> None:
    found, rest = messages(greeting())
    assert [(each.version, each.type, each.body) for each in found] == [(1, 0, b""), (1, 5, b"")]
    assert not rest
    assert not any(map(is_features, found))


def test_ports_that_take_no_floods_are_found_among_the_others() -> None:
    body = SWITCH + port(1, 0) + port(2, 0b10000) + port(3, 0b01111) + port(0xFFFE, 0b10001)
    assert is_features(features(body))
    assert no_flood_ports(features(body)) == frozenset({2, OFPP_LOCAL})


def test_too_many_ports_to_tell_are_not_known() -> None:
    assert no_flood_ports(features(SWITCH)) is None


@pytest.mark.parametrize("body", [b"", SWITCH[:-1], SWITCH + port(1, 0)[:-1]])
def test_features_that_are_cut_off_are_an_error(body: bytes) -> None:
    with pytest.raises(CodecError, match="cut off"):
        no_flood_ports(features(body))
