import struct
from collections.abc import Callable

import pytest

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.codecs.openflow import MultipartType
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.errors import CodecError, OpenFlowError
from vtrace_ovs.model.flow import FlowMod, FlowModCommand, MeterMod, MeterModCommand, Watch
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import IN_PORT
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import BridgeRead, BridgeUp, Event, FlowsChanged, PacketInReceived, Programmed

BRIDGE = BridgeId("cs1", "br")
DPID = 0xAB
CONTROLLER_ID = 0x5654
FLOW = FlowMod(FlowModCommand.ADD, 0, 1, Match(), 0x5654 << 48)
METER = MeterMod(MeterModCommand.ADD, 1, 100, 10)
UNKNOWN_METER, BAD_TYPE = (12, 3), (1, 2)


class Bridge:
    """The other side of a link: collects what it is sent, and answers when told to."""

    def __init__(self, identify: Callable[[int], BridgeId] | None = None) -> None:
        self.sent: list[Message] = []
        self.events: list[Event] = []
        self.link = BridgeLink(BRIDGE, CONTROLLER_ID, self._take, self.events.append, identify)

    def _take(self, octets: bytes) -> None:
        whole, rest = openflow.messages(octets)
        assert rest == b""
        self.sent += whole

    def say(self, kind: MessageType, xid: int, body: bytes = b"") -> None:
        self.link.message(Message(4, kind, xid, body))

    def asked(self) -> list[Message]:
        """What was sent since the last call."""
        fresh, self.sent = self.sent, []
        return fresh

    def refuse(self, xid: int, error: tuple[int, int]) -> None:
        self.say(MessageType.ERROR, xid, struct.pack("!HH", *error))

    def part(self, xid: int, kind: int, body: bytes = b"", *, more: bool = False) -> None:
        self.say(MessageType.MULTIPART_REPLY, xid, struct.pack("!HH4x", kind, more) + body)

    def configured(self) -> "Bridge":
        """Up to, and without, the barrier behind the configuration."""
        self.link.begin()
        self.say(MessageType.HELLO, 1)
        self.say(MessageType.FEATURES_REPLY, 2, struct.pack("!QIBB2xII", DPID, 0, 254, 0, 0, 0))
        self.say(MessageType.GET_CONFIG_REPLY, 3, struct.pack("!HH", 1, 0))
        return self

    def attached(self) -> "Bridge":
        self.configured().say(MessageType.BARRIER_REPLY, self.sent[-1].xid)
        self.asked()
        return self

    def read(self) -> dict[int, int]:
        """Ask the link for a reading; the xid of each request by what it asks for."""
        self.link.read()
        return {struct.unpack("!H", request.body[:2])[0]: request.xid for request in self.asked()}


def kinds(messages: list[Message]) -> list[int]:
    return [message.type for message in messages]


def test_attaching_asks_who_it_is_then_configures_with_the_bridges_own_fragment_bits() -> None:
    bridge = Bridge().configured()
    assert kinds(bridge.sent) == [
        MessageType.HELLO,
        MessageType.FEATURES_REQUEST,
        MessageType.GET_CONFIG_REQUEST,
        MessageType.EXPERIMENTER,
        MessageType.EXPERIMENTER,
        MessageType.SET_ASYNC,
        MessageType.SET_CONFIG,
        MessageType.BARRIER_REQUEST,
    ]
    assert bridge.sent[6].body == struct.pack("!HH", 1, 0xFFFF)
    assert len({message.xid for message in bridge.sent}) == 8
    assert not bridge.link.attached
    bridge.say(MessageType.BARRIER_REPLY, bridge.sent[-1].xid)
    (up,) = bridge.events
    assert isinstance(up, BridgeUp)
    assert (up.bridge, up.dpid, bridge.link.attached) == (BRIDGE, DPID, True)


def test_a_bridge_without_openflow_13_is_told_how_to_allow_it() -> None:
    bridge = Bridge()
    with pytest.raises(OpenFlowError, match="ovs-vsctl add bridge br protocols OpenFlow13"):
        bridge.link.message(Message(1, MessageType.HELLO, 1, b""))


def test_a_refusal_while_attaching_is_an_error_with_its_name() -> None:
    bridge = Bridge().configured()
    with pytest.raises(OpenFlowError, match=r"cs1/br refuses to attach us: OFPBRC_BAD_"):
        bridge.refuse(bridge.sent[-2].xid, BAD_TYPE)


def test_a_bridge_that_dialled_us_is_named_by_its_dpid() -> None:
    found = BridgeId("far", "br")
    bridge = Bridge({DPID: found}.__getitem__).attached()
    assert bridge.link.bridge == found
    (up,) = bridge.events
    assert isinstance(up, BridgeUp)
    assert up.bridge == found


def test_a_reading_is_told_once_all_its_answers_came_in_whatever_order() -> None:
    bridge = Bridge().attached()
    xids = bridge.read()
    assert len(xids) == 7
    bridge.events.clear()
    for kind, xid in reversed(list(xids.items())):
        assert bridge.events == []
        bridge.part(xid, kind)
    (read,) = bridge.events
    assert isinstance(read, BridgeRead)
    assert (read.bridge, read.tables.dpid, read.tables.flows, read.meters, read.ports) == (BRIDGE, DPID, (), (), ())


def test_an_answer_in_parts_is_one_answer() -> None:
    bridge = Bridge().attached()
    xids = bridge.read()
    ports = [struct.pack("!I4x6s2x16s8I", number, bytes(6), b"p", *[0] * 8) for number in (1, 2)]
    bridge.part(xids[MultipartType.PORT_DESC], MultipartType.PORT_DESC, ports[0], more=True)
    for kind, xid in xids.items():
        if kind != MultipartType.PORT_DESC:
            bridge.part(xid, kind)
    assert not any(isinstance(event, BridgeRead) for event in bridge.events)
    bridge.part(xids[MultipartType.PORT_DESC], MultipartType.PORT_DESC, ports[1])
    read = bridge.events[-1]
    assert isinstance(read, BridgeRead)
    assert [port.ofport for port in read.tables.ports] == [1, 2]


def test_two_readings_are_told_in_the_order_they_were_asked_for() -> None:
    bridge = Bridge().attached()
    first, second = bridge.read(), bridge.read()
    bridge.events.clear()
    for kind, xid in second.items():
        bridge.part(xid, kind)
    assert bridge.events == []
    for kind, xid in first.items():
        bridge.part(xid, kind)
    assert len(bridge.events) == 2


def test_meters_a_bridge_does_not_know_are_no_meters() -> None:
    bridge = Bridge().attached()
    xids = bridge.read()
    for kind, xid in xids.items():
        if kind in (MultipartType.METER_CONFIG, MultipartType.METER):
            bridge.refuse(xid, BAD_TYPE)
        else:
            bridge.part(xid, kind)
    read = bridge.events[-1]
    assert isinstance(read, BridgeRead)
    assert read.tables.meters == ()


def test_flow_entries_a_bridge_does_not_tell_are_not_an_empty_table() -> None:
    bridge = Bridge().attached()
    xids = bridge.read()
    with pytest.raises(OpenFlowError, match="does not tell its flow entries"):
        bridge.refuse(xids[MultipartType.FLOW], BAD_TYPE)


def test_a_program_is_sent_in_order_with_a_barrier_and_confirmed_by_it() -> None:
    bridge = Bridge().attached()
    bridge.link.program(Program(BRIDGE, 7, (METER, FLOW)))
    sent = bridge.asked()
    assert kinds(sent) == [MessageType.METER_MOD, MessageType.FLOW_MOD, MessageType.BARRIER_REQUEST]
    bridge.events.clear()
    bridge.say(MessageType.BARRIER_REPLY, sent[-1].xid)
    (done,) = bridge.events
    assert isinstance(done, Programmed)
    assert (done.bridge, done.batch, done.errors) == (BRIDGE, 7, ())


def test_a_refused_change_is_told_with_the_program_it_was_in() -> None:
    bridge = Bridge().attached()
    bridge.link.program(Program(BRIDGE, 7, (METER, FLOW)))
    first = bridge.asked()
    bridge.link.program(Program(BRIDGE, 8, (FLOW,)))
    second = bridge.asked()
    bridge.events.clear()
    bridge.refuse(first[0].xid, UNKNOWN_METER)
    bridge.say(MessageType.BARRIER_REPLY, first[-1].xid)
    bridge.say(MessageType.BARRIER_REPLY, second[-1].xid)
    told = [(event.batch, event.errors) for event in bridge.events if isinstance(event, Programmed)]
    assert told == [(7, ("the bridge refused a change of ours: OFPMMFC_UNKNOWN_METER",)), (8, ())]


def test_a_flow_that_is_touched_is_sent_alone_and_its_refusal_is_nobodys() -> None:
    bridge = Bridge().attached()
    bridge.link.program(Program(BRIDGE, 7, (FLOW,)))
    program = bridge.asked()
    bridge.link.touch(FLOW)
    (touch,) = bridge.asked()
    assert (touch.type, touch.body) == (MessageType.FLOW_MOD, program[0].body)
    bridge.events.clear()
    bridge.refuse(touch.xid, UNKNOWN_METER)
    bridge.say(MessageType.BARRIER_REPLY, program[-1].xid)
    assert [event.errors for event in bridge.events if isinstance(event, Programmed)] == [()]


def test_an_echo_is_answered_with_its_own_payload() -> None:
    bridge = Bridge().attached()
    bridge.say(MessageType.ECHO_REQUEST, 99, b"still there?")
    (reply,) = bridge.asked()
    assert (reply.type, reply.xid, reply.body) == (MessageType.ECHO_REPLY, 99, b"still there?")


def test_a_copy_becomes_an_event_with_its_headers() -> None:
    bridge = Bridge().attached()
    frame = bytes.fromhex("020000000002 020000000001 0806") + bytes(28)
    properties = struct.pack("!HH", 0, 4 + len(frame)) + frame + bytes(-(4 + len(frame)) % 8)
    metadata = struct.pack("!HBBI", 0x8000, 0, 4, 5)
    properties += struct.pack("!HH", 6, 4 + len(metadata)) + metadata + bytes(-(4 + len(metadata)) % 8)
    bridge.events.clear()
    bridge.say(MessageType.EXPERIMENTER, 0, struct.pack("!II", 0x2320, 30) + properties)
    (copy,) = bridge.events
    assert isinstance(copy, PacketInReceived)
    assert copy.bridge == BRIDGE
    assert copy.headers.eth_src == "02:00:00:00:00:01"
    assert dict(copy.packet_in.metadata)[IN_PORT] == 5


def test_messages_nobody_asked_for_are_nothing() -> None:
    bridge = Bridge().attached()
    bridge.events.clear()
    bridge.say(MessageType.PORT_STATUS, 0, bytes(72))
    bridge.say(MessageType.BARRIER_REPLY, 12345)
    bridge.part(4711, MultipartType.FLOW)
    bridge.refuse(4711, BAD_TYPE)
    assert (bridge.events, bridge.asked()) == ([], [])


def test_a_broken_message_is_a_codec_error() -> None:
    bridge = Bridge().attached()
    with pytest.raises(CodecError):
        bridge.say(MessageType.ERROR, 1, b"\0")


def test_flows_that_somebody_deletes_are_told_and_a_bridge_that_cannot_tell_goes_on() -> None:
    bridge = Bridge().attached()
    bridge.link.watch((Watch(0),))
    (request,) = bridge.asked()
    update = bytes.fromhex("ffff0000000000004f4e46000000074e")
    deleted = bytes.fromhex("0020000100020007000000000004000056540000000000010001000400000000")
    bridge.say(MessageType.MULTIPART_REPLY, request.xid, update)
    bridge.say(MessageType.MULTIPART_REPLY, 0, update + deleted)
    (told,) = bridge.events[1:]
    assert isinstance(told, FlowsChanged)
    assert [flow.cookie for flow in told.flows] == [0x5654000000000001]
    bridge.refuse(request.xid, BAD_TYPE)
    bridge.link.watch((Watch(1),))
    assert bridge.asked() == []
    assert bridge.link.attached
