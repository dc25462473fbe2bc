"""Turns one bridge's OpenFlow messages into session events, and session commands for it into OpenFlow messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from time import time

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.controller.flow_watch import FlowWatch
from vtrace_ovs.errors import OpenFlowError
from vtrace_ovs.instrumentation.cookies import all_of_ours
from vtrace_ovs.model.flow import BridgeTables, FlowMod, MeterMod, Watch, with_queues
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import (
    BridgeRead,
    BridgeUp,
    CountersRead,
    Event,
    FlowsChanged,
    PacketInReceived,
    Programmed,
)

WHOLE_PACKET = 0xFFFF
OPENFLOW_13 = 4


class Step(Enum):
    """How far the attachment has come."""

    GREETING = "greeting"
    IDENTIFYING = "identifying"
    CONFIGURING = "configuring"
    ATTACHED = "attached"


@dataclass(slots=True)
class Reading:
    """A ``ReadBridge`` or ``ReadCounters`` under way: the xids still to come, and the bodies that came, by their type.

    ``flows`` is the xid of the request for flow entries, the only one a bridge may not refuse.
    """

    waiting: set[int]
    flows: int
    counters: bool = False
    bodies: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Programming:
    """A ``Program`` under way: its batch, the xids of its messages, and the bridge's refusals."""

    batch: int
    xids: range
    errors: list[str] = field(default_factory=list)


class BridgeLink:
    """The OpenFlow 1.3 conversation with one bridge, attached so that nobody else there notices (design D1).

    HELLO, FEATURES and GET_CONFIG first; then our private controller id, the packet-in format, the asynchronous mask,
    and SET_CONFIG with the bridge's own fragment bits: a service connection gets no packet-in before it names a miss
    length. ``send`` takes bytes, ``report`` session events. A bridge that dialled us is not known by name before it
    has told its dpid: ``identify`` turns that into the name, and raises OpenFlowError for a stranger.
    """

    def __init__(
        self,
        bridge: BridgeId,
        controller_id: int,
        send: Callable[[bytes], None],
        report: Callable[[Event], None],
        identify: Callable[[int], BridgeId] | None = None,
    ) -> None:
        self.bridge = bridge
        self.dpid = 0
        self._identify = identify
        self._controller_id = controller_id
        self._send = send
        self._report = report
        self._step = Step.GREETING
        self._xids = count(1)
        self._assembly = openflow.Assembly()
        self._readings: list[Reading] = []
        self._programs: dict[int, Programming] = {}
        self._watch = FlowWatch(self._xids)

    @property
    def attached(self) -> bool:
        """Whether the bridge may be read and programmed."""
        return self._step is Step.ATTACHED

    def begin(self) -> None:
        """Say hello."""
        self._send(openflow.hello(next(self._xids)))

    def read(self) -> None:
        """Ask for everything that decides a packet's way through the bridge.

        What its meters have counted comes last, so that copies which they had not counted yet come after the reading.
        """
        requests = (
            openflow.flow_stats_request,
            openflow.group_desc_request,
            openflow.meter_config_request,
            openflow.port_desc_request,
            openflow.port_stats_request,
            openflow.queue_stats_request,
            openflow.meter_stats_request,
        )
        asked = [(next(self._xids), request) for request in requests]
        self._readings.append(Reading({xid for xid, _ in asked}, asked[0][0]))
        self._send(b"".join(request(xid) for xid, request in asked))

    def read_counters(self) -> None:
        """Ask for the counters of our own flows and of all meters."""
        flows, meters = next(self._xids), next(self._xids)
        self._readings.append(Reading({flows, meters}, flows, counters=True))
        ours, mask = all_of_ours()
        requests = (
            openflow.flow_stats_request(flows, cookie=ours, cookie_mask=mask),
            openflow.meter_stats_request(meters),
        )
        self._send(b"".join(requests))

    def program(self, command: Program) -> None:
        """Send changes in order and a barrier behind them."""
        octets: list[bytes] = []
        first = xid = next(self._xids)
        for mod in command.mods:
            octets.append(_encode(mod, xid))
            xid = next(self._xids)
        octets.append(openflow.barrier_request(xid))
        self._programs[xid] = Programming(command.batch, range(first, xid))
        self._send(b"".join(octets))

    def touch(self, flow: FlowMod) -> None:
        """Send a flow that is there once more, so that the datapath is looked over; nobody waits for an answer."""
        self._send(openflow.flow_mod(flow, next(self._xids)))

    def watch(self, watches: tuple[Watch, ...]) -> None:
        """Be told when somebody else changes one of these flows, and no others."""
        octets = self._watch.change(watches)
        if octets:
            self._send(octets)

    def message(self, message: Message) -> None:
        """Take one message. Raises OpenFlowError when the bridge will not have us, CodecError for a broken message."""
        if openflow.is_packet_in(message):
            self._packet_in(message)
            return
        match message.type:
            case MessageType.HELLO:
                self._greeted(openflow.hello_versions(message))
            case MessageType.FEATURES_REPLY:
                self._introduced(openflow.features_reply(message).dpid)
            case MessageType.GET_CONFIG_REPLY:
                self._configure(openflow.get_config_reply(message).flags)
            case MessageType.ECHO_REQUEST:
                self._send(openflow.echo_reply(message.xid, message.body))
            case MessageType.ERROR:
                self._refused(openflow.refusal(message))
            case MessageType.MULTIPART_REPLY if openflow.is_flow_update(message):
                self._changed(message)
            case MessageType.MULTIPART_REPLY:
                self._part(message)
            case MessageType.EXPERIMENTER:
                self._watch.said(message)
            case MessageType.BARRIER_REPLY:
                self._barrier(message.xid)
            case _:
                return

    def _greeted(self, versions: frozenset[int]) -> None:
        if OPENFLOW_13 not in versions:
            raise OpenFlowError(
                f"{self.bridge} does not speak OpenFlow 1.3; allow it beside the others: "
                f"ovs-vsctl add bridge {self.bridge.name} protocols OpenFlow13"
            )
        self._step = Step.IDENTIFYING
        self._send(openflow.features_request(next(self._xids)))

    def _introduced(self, dpid: int) -> None:
        self.dpid = dpid
        if self._identify is not None:
            self.bridge = self._identify(dpid)
        self._step = Step.CONFIGURING
        self._send(openflow.get_config_request(next(self._xids)))

    def _configure(self, flags: int) -> None:
        settings = (
            openflow.set_controller_id(self._controller_id, next(self._xids)),
            openflow.set_packet_in_format(next(self._xids)),
            openflow.set_async(next(self._xids)),
            openflow.set_config(flags, WHOLE_PACKET, next(self._xids)),
            openflow.barrier_request(next(self._xids)),
        )
        self._send(b"".join(settings))

    def _refused(self, refusal: openflow.Refusal) -> None:
        if not self.attached:
            raise OpenFlowError(f"{self.bridge} refuses to attach us: {refusal.name}")
        if self._watch.refused(refusal.xid):
            return
        for programming in tuple(self._programs.values()):  # another thread may be adding one
            if refusal.xid in programming.xids:
                programming.errors.append(f"the bridge refused a change of ours: {refusal.name}")
                return
        for reading in self._readings:
            if refusal.xid == reading.flows:
                raise OpenFlowError(f"{self.bridge} does not tell its flow entries: {refusal.name}")
            # OVS answers a request it does not support (meters on an old datapath) with an error instead of nothing.
            reading.waiting.discard(refusal.xid)
        self._deliver_readings()

    def _barrier(self, xid: int) -> None:
        if not self.attached:
            self._step = Step.ATTACHED
            self._report(BridgeUp(time(), self.bridge, self.dpid))
            return
        programming = self._programs.pop(xid, None)
        if programming is not None:
            self._report(Programmed(time(), self.bridge, programming.batch, tuple(programming.errors)))

    def _part(self, message: Message) -> None:
        part = self._assembly.add(message)
        if part is None:
            return
        for reading in self._readings:
            if message.xid in reading.waiting:
                reading.waiting.discard(message.xid)
                reading.bodies[part.type] = part.body
        self._deliver_readings()

    def _deliver_readings(self) -> None:
        while self._readings and not self._readings[0].waiting:
            reading = self._readings.pop(0)
            bodies, at = reading.bodies, time()
            flows = openflow.flows(bodies.get(openflow.MultipartType.FLOW, b""))
            if reading.counters:
                meters = openflow.meter_counters(bodies.get(openflow.MultipartType.METER, b""))
                self._report(CountersRead(at, self.bridge, flows, meters))
                continue
            tables = BridgeTables(
                self.dpid,
                at,
                flows,
                openflow.groups(bodies.get(openflow.MultipartType.GROUP_DESC, b"")),
                openflow.meters(bodies.get(openflow.MultipartType.METER_CONFIG, b"")),
                openflow.ports(bodies.get(openflow.MultipartType.PORT_DESC, b"")),
            )
            meters = openflow.meter_counters(bodies.get(openflow.MultipartType.METER, b""))
            queues = openflow.queue_counters(bodies.get(openflow.MultipartType.QUEUE, b""))
            ports = with_queues(openflow.port_counters(bodies.get(openflow.MultipartType.PORT_STATS, b"")), queues)
            self._report(BridgeRead(at, self.bridge, tables, meters, ports))

    def _changed(self, message: Message) -> None:
        flows = self._watch.changed(message)
        if flows:
            self._report(FlowsChanged(time(), self.bridge, flows))

    def _packet_in(self, message: Message) -> None:
        at = time()
        packet_in = openflow.packet_in(message, self.dpid, at)
        read = headers(packet_in.frame, packet_in.total_length)
        self._report(PacketInReceived(at, self.bridge, packet_in, read))


def _encode(mod: FlowMod | MeterMod, xid: int) -> bytes:
    return openflow.flow_mod(mod, xid) if isinstance(mod, FlowMod) else openflow.meter_mod(mod, xid)
