"""Turns any bytes into what the tool would make of them, or into the one error it may raise: the places to fuzz.

Each target goes as far as the controller does with what it has read: a match is worded, indexed and sent back.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.action_decoding import decode_action
from vtrace_ovs.codecs.captures import CapturedFrame, frame_of_hex, frames_of_capture
from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.codecs.dump_text import DumpFile, bridge_name, tables_of
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.codecs.instructions import decode_instructions, encode_instructions
from vtrace_ovs.codecs.matching import decode_match, decode_tlv, encode_match
from vtrace_ovs.codecs.switching import mac_entries
from vtrace_ovs.codecs.trace_text import parse_trace
from vtrace_ovs.errors import CodecError, FilterError
from vtrace_ovs.filters import parse
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.wording import flow_text, instructions_text
from vtrace_ovs.trajectories.identity import packet_id
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView

CORPUS = Path(__file__).parent / "corpus.txt"
DPID = 1
MEMORIES = (decode_action, decode_instructions, decode_match, decode_tlv)


class Kind(Enum):
    """What a corpus line holds, and so what its mutations are given to."""

    MESSAGE = "message"
    FLOWS = "flows"
    GROUPS = "groups"
    METERS = "meters"
    METER_COUNTERS = "meter-counters"
    PORTS = "ports"
    PORT_COUNTERS = "port-counters"
    FRAME = "frame"
    FILTER = "filter"
    DUMP = "dump"
    TRACE = "trace"
    CAPTURE = "capture"
    MAC_TABLE = "mac-table"


def corpus() -> dict[Kind, list[bytes]]:
    """The captured inputs."""
    found: dict[Kind, list[bytes]] = {kind: [] for kind in Kind}
    for line in CORPUS.read_text(encoding="ascii").splitlines():
        kind, _, digits = line.partition(" ")
        found[Kind(kind)].append(bytes.fromhex(digits))
    return found


def accepts(kind: Kind, octets: bytes) -> bool:
    """Whether the tool takes the input; False when it refuses it as it may. Any other error is a crash."""
    try:
        TARGETS[kind](octets)
    except (CodecError, FilterError) as refused:
        if "\n" in str(refused):
            raise AssertionError("an error is one line") from refused
        return False
    return True


def forget() -> None:
    """Empty the decoders' memories, which would hold every mutation."""
    for memory in MEMORIES:
        memory.cache_clear()


def _message(octets: bytes) -> None:
    received, rest = openflow.messages(octets)
    if len(rest) > len(octets):
        raise AssertionError("more bytes left than there were")
    for message in received:
        _take(message)


def _take(message: Message) -> None:
    """As ``controller.bridge_link`` reads messages."""
    if openflow.is_packet_in(message):
        packet_in = openflow.packet_in(message, DPID, 0.0)
        _identify(headers(packet_in.frame, packet_in.total_length))
        return
    match message.type:
        case MessageType.HELLO:
            openflow.hello_versions(message)
        case MessageType.ERROR:
            openflow.refusal(message)
        case MessageType.FEATURES_REPLY:
            openflow.features_reply(message)
        case MessageType.GET_CONFIG_REPLY:
            openflow.get_config_reply(message)
        case MessageType.MULTIPART_REPLY if openflow.is_flow_update(message):
            openflow.changed_flows(message)
        case MessageType.MULTIPART_REPLY:
            _multipart(message)
        case MessageType.EXPERIMENTER:
            openflow.monitors_paused(message)


def _multipart(message: Message) -> None:
    part = openflow.Assembly().add(message)
    if part is not None and part.type in BODIES:
        BODIES[part.type](part.body)


def _flows(body: bytes) -> None:
    flows = openflow.flows(body)
    for flow in flows:
        _same_again(flow)
    _walkable(BridgeTables(DPID, 0.0, flows))


def _walkable(tables: BridgeTables) -> None:
    """As ``vtrace explain`` uses tables: worded, and indexed."""
    for flow in tables.flows:
        flow_text(flow.key, flow.cookie)
        instructions_text(flow.instructions)
    view = BridgeView(tables, None)
    for table_id in {flow.table_id for flow in tables.flows}:
        for entry in view.indexes[table_id].entries():
            tuple(entry.lookup.program)


def _same_again(flow: Flow) -> None:
    """What is spliced into a FlowMod means what was read; a mask OVS would refuse is refused."""
    if decode_instructions(encode_instructions(flow.instructions)) != flow.instructions:
        raise AssertionError("instructions changed on the way back")
    wire = encode_match(flow.match)
    if decode_match(wire[4 : int.from_bytes(wire[2:4])]) != flow.match:
        raise AssertionError("the match changed on the way back")


def _frame(octets: bytes) -> None:
    read = headers(octets, len(octets))
    _identify(read)
    packed_state(read, 1, None)


def _identify(read: Headers) -> None:
    packet_id(read)
    if from_json(Headers, to_json(read)) != read:
        raise AssertionError("headers changed in the database")


def _filter(octets: bytes) -> None:
    parsed = parse(octets.decode("utf-8", "replace"))
    if parse(parsed.text) != parsed:
        raise AssertionError("the canonical text means another filter")


def _dump(octets: bytes) -> None:
    tables = tables_of([DumpFile("dump.txt", octets.decode("utf-8", "replace"))], 0.0)
    bridge_name(tables)
    _walkable(tables)


def _trace(octets: bytes) -> None:
    parse_trace(octets.decode("utf-8", "replace"), PortNames({"p1": 1, "p2": 2}))


def _capture(octets: bytes) -> None:
    """A capture file, or a frame in hexadecimal."""
    if octets[:1].isascii() and octets[:1].isalnum():
        captured: tuple[CapturedFrame, ...] = (frame_of_hex(octets.decode("utf-8", "replace")),)
    else:
        captured = tuple(frames_of_capture(octets, "frames.pcap"))
    for each in captured:
        packed_state(headers(each.frame, each.total_length), 1, None)


def _mac_table(octets: bytes) -> None:
    mac_entries(octets.decode("utf-8", "replace"))


BODIES: dict[int, Callable[[bytes], object]] = {
    openflow.MultipartType.FLOW: _flows,
    openflow.MultipartType.GROUP_DESC: openflow.groups,
    openflow.MultipartType.METER_CONFIG: openflow.meters,
    openflow.MultipartType.METER: openflow.meter_counters,
    openflow.MultipartType.PORT_DESC: openflow.ports,
    openflow.MultipartType.PORT_STATS: openflow.port_counters,
    openflow.MultipartType.QUEUE: openflow.queue_counters,
}
TARGETS: dict[Kind, Callable[[bytes], object]] = {
    Kind.MESSAGE: _message,
    Kind.FLOWS: _flows,
    Kind.GROUPS: openflow.groups,
    Kind.METERS: openflow.meters,
    Kind.METER_COUNTERS: openflow.meter_counters,
    Kind.PORTS: openflow.ports,
    Kind.PORT_COUNTERS: openflow.port_counters,
    Kind.FRAME: _frame,
    Kind.FILTER: _filter,
    Kind.DUMP: _dump,
    Kind.TRACE: _trace,
    Kind.CAPTURE: _capture,
    Kind.MAC_TABLE: _mac_table,
}
