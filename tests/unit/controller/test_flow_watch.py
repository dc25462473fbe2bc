from itertools import count

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.controller.flow_watch import FlowWatch
from vtrace_ovs.model.flow import Watch

FIRST, SECOND, THIRD = Watch(0), Watch(253), Watch(7)
DELETED = bytes.fromhex(
    "ffff0000000000004f4e46000000074e 0020 0001 0002 0007 0000 0000 0004 00 00 5654000000000001 0001000400000000"
)
PAUSED, RESUMED = bytes.fromhex("4f4e46000000074f"), bytes.fromhex("4f4e460000000750")


def asked(watch: FlowWatch, *wanted: Watch) -> list[tuple[int, int]]:
    """What is sent: each message's type and length."""
    sent, rest = openflow.messages(watch.change(wanted))
    assert rest == b""
    return [(message.type, len(message.body)) for message in sent]


def say(watch: FlowWatch, body: bytes) -> None:
    watch.said(Message(4, MessageType.EXPERIMENTER, 0, body))


def changed(watch: FlowWatch) -> int:
    return len(watch.changed(Message(4, MessageType.MULTIPART_REPLY, 0, DELETED)))


def test_what_is_wanted_is_asked_for_once_and_ended_when_it_is_not_wanted_any_more() -> None:
    watch = FlowWatch(count(1))
    request, cancel = MessageType.MULTIPART_REQUEST, MessageType.EXPERIMENTER
    assert asked(watch, FIRST, SECOND) == [(request, 64)]
    assert asked(watch, FIRST, SECOND) == []
    assert asked(watch, SECOND, THIRD) == [(cancel, 12), (request, 40)]
    assert asked(watch) == [(cancel, 12)] * 2
    assert asked(watch) == []


def test_a_bridge_that_refuses_is_not_asked_again() -> None:
    watch = FlowWatch(count(1))
    asked(watch, FIRST)
    assert not watch.refused(2)
    assert watch.refused(1)
    assert asked(watch, SECOND) == []


def test_what_is_told_while_monitors_pause_is_not_believed() -> None:
    watch = FlowWatch(count(1))
    assert changed(watch) == 1
    say(watch, PAUSED)
    assert changed(watch) == 0
    say(watch, b"")
    assert changed(watch) == 0
    say(watch, RESUMED)
    assert changed(watch) == 1
