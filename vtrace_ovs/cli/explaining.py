"""Wires tables, packet, walk and Open vSwitch's own trace into one explanation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.cli.inventory import ovsdb_of
from vtrace_ovs.cli.known_tables import Known, dumped_tables, live_tables, stored_tables
from vtrace_ovs.cli.naming import flow_names
from vtrace_ovs.cli.settings import Settings, read_settings, with_listen, with_southbound
from vtrace_ovs.cli.typed_packet import TypedPacket, typed_packet
from vtrace_ovs.codecs.captures import CapturedFrame, frame_of_hex, frames_of_capture
from vtrace_ovs.codecs.flow_text_words import PortNames
from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.codecs.trace_text import ct_next, parse_trace, trace_flow
from vtrace_ovs.diagnosis.agreement import ServerVisit, agreement, server_visits
from vtrace_ovs.diagnosis.datapath import followed
from vtrace_ovs.diagnosis.prediction import foresee
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.errors import CodecError, InfrastructureError, UsageError
from vtrace_ovs.filters import accepts, parse
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.agreement import Agreement, Examined
from vtrace_ovs.model.datapath import DatapathQuestion
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, Topology, Vm
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import PathGroup, TaskResult, Verdict
from vtrace_ovs.ovsdb.datapath import DatapathAudit
from vtrace_ovs.ovsdb.ofproto_trace import ofproto_trace
from vtrace_ovs.session.predicting import predict_from
from vtrace_ovs.trajectories.stitch import stitch
from vtrace_ovs.walker import WalkSettings, WalkStart, looked_at, walk

TRACE_TIMEOUT = 10.0
"""Seconds for one answer of ``ofproto/trace``: large tables on a busy machine take far less than one."""
_PACKET_ID = "not sent"
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What ``vtrace explain`` was asked; one attribute per option."""

    packet: str | None = None
    at: str | None = None
    source_vm: str | None = None
    task_id: int | None = None
    record: int | None = None
    dumps: tuple[Path, ...] = ()
    in_port: str | None = None
    hex_text: str | None = None
    pcap: Path | None = None
    frame: int | None = None
    ct_state: int | None = None
    length: int | None = None
    against_ovs: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: a result with one predicted path, what Open vSwitch says to it, and what could not be read."""

    result: TaskResult
    agreements: tuple[Agreement, ...] = ()
    problems: tuple[str, ...] = ()
    task: Task | None = None
    examined: tuple[Examined, ...] = ()


class _Source(NamedTuple):
    """Where the tables come from, and the record the packet is of, if any, with all ``records`` of that packet."""

    known: Known
    task: Task | None = None
    record: PacketInRecord | None = None
    records: tuple[PacketInRecord, ...] = ()


def explained(
    request: Request, ovsdb: str | None, ovn_southbound: str | None = None, listen: str | None = None
) -> Explanation:
    """Walk the packet. Raises UsageError, CodecError, OvsdbError or StorageError for what cannot be answered."""
    _check(request)
    settings = with_listen(with_southbound(read_settings(), ovn_southbound), listen)
    source = _source(request, ovsdb, settings)
    known, record = source.known, source.record
    vm = _vm(known.topology, request.source_vm)
    bridge, in_port = _place(request, known, vm, record)
    node = known.topology.node(bridge.node)
    packet = _packet(request, known.topology, vm, record, most_tags=1 if node is None else node.vlan_limit)
    ct_state = request.ct_state or (record.ct_state if record is not None else 0)
    start = WalkStart(request.task_id or 0, _PACKET_ID, 0, bridge, in_port, packet.headers, packet.tunnel, ct_state)
    network = known.network()
    observed = None if (vm or request.at or request.ct_state) else _observed(source)
    if record is None or observed is None:
        way = walk(network, start, WalkSettings(assumed_ct_state=request.ct_state))
    else:
        way = predict_from(network, record, observed, source.records)
    verdict = foresee(way, Scene(known.topology, known.profiles))
    named = _named(verdict, settings)
    if named:
        profiles = {
            bridge: replace(profile, named=named) for bridge, profile in known.profiles.items() if profile.cookies
        }
        verdict = foresee(way, Scene(known.topology, {**known.profiles, **profiles}))
    notes = list(packet.notes)
    agreements: tuple[Agreement, ...] = ()
    if request.against_ovs:
        visits = server_visits(way)
        compared = [(visit, _against_ovs(visit, known.topology, request.ct_state)) for visit in visits]
        agreements = tuple(_with_datapath(one, visit, known.topology) for visit, one in compared)
        if known.carries_ours():
            notes.append("A trace is running: Open vSwitch sees its flows, the walk leaves them out.")
    result = TaskResult(request.task_id or 0, verdict, (PathGroup(verdict, way, 1),), 1, notes=tuple(notes))
    return Explanation(result, agreements, known.problems, source.task, looked_at(network, way))


def _named(verdict: Verdict, settings: Settings) -> tuple[NamedFlow, ...]:
    """What OVN says of the flow the verdict blames, if it is one of OVN's and OVN may be asked."""
    culprit = verdict.culprit
    return flow_names(settings, (culprit.cookie,)) if culprit is not None and culprit.cookie else ()


def _check(request: Request) -> None:
    """Options that contradict each other."""
    given = [name for name, value in (("--hex", request.hex_text), ("--pcap", request.pcap)) if value is not None]
    given += ["--record"] if request.record is not None else []
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} both name a packet: give one")
    if not given and request.packet is None:
        raise UsageError("no packet is given: write one like tcp,nw_src=…,nw_dst=…,tp_dst=…, or use --hex or --pcap")
    if request.dumps and request.task_id is not None:
        raise UsageError("--dump and --task both name tables: give one")
    if request.record is not None and request.task_id is None:
        raise UsageError("--record needs --task: a record belongs to a task")
    if request.frame is not None and request.pcap is None:
        raise UsageError("--frame needs --pcap")
    if request.against_ovs and (request.dumps or request.task_id is not None):
        raise UsageError("--against-ovs asks the bridges as they are now: leave out --dump and --task")
    if bool(request.dumps) != (request.in_port is not None):
        raise UsageError("--dump and --in-port belong together; on known bridges, --at says where the packet comes in")


def _source(request: Request, ovsdb: str | None, settings: Settings) -> _Source:
    if request.dumps:
        return _Source(dumped_tables(request.dumps))
    connections = ovsdb_of(settings, ovsdb)
    if request.task_id is None:
        return _Source(live_tables(settings, connections))
    with open_store(settings.database) as store:
        task = store.task(request.task_id)
        if task is None:
            raise UsageError(f"there is no task {request.task_id}: vtrace list shows those there are")
        known = partial(stored_tables, store, task.id, settings=settings, connections=connections)
        if request.record is None:
            return _Source(known(None), task)
        records = store.records(task.id)
        record = _record(records, task.id, request.record)
        same = tuple(one for one in records if one.packet_id == record.packet_id)
        return _Source(known(record.timestamp), task, record, same)


def _observed(source: _Source) -> Trajectory | None:
    """The way on which the record's packet was seen; equal packets have several."""
    record = source.record
    if record is None:
        return None
    wanted = (record.bridge, record.dscp_mark, record.in_port, record.timestamp)
    ways = stitch(source.records, source.known.topology)
    return next(
        (
            way
            for way in ways
            if any((hop.bridge, hop.dscp_mark, hop.in_port, hop.entered_at) == wanted for hop in way.hops)
        ),
        None,
    )


def _record(stored: Sequence[PacketInRecord], task_id: int, sequence: int) -> PacketInRecord:
    records = {record.sequence: record for record in stored}
    chosen = records.get(sequence)
    if chosen is not None and chosen.loc is Loc.IN:
        return chosen
    what = "does not exist" if chosen is None else f"is an {chosen.loc.value}"
    entries = sorted(
        (record for record in records.values() if record.loc is Loc.IN),
        key=lambda record: (record.dscp_mark, record.sequence),
    )
    shown = ", ".join(f"{record.sequence} ({record.bridge})" for record in entries[:_MOST_LISTED]) or "none"
    raise UsageError(f"record {sequence} of task {task_id} {what}: a walk starts at an in, one of {shown}")


def _vm(topology: Topology, name: str | None) -> Vm | None:
    if name is None:
        return None
    vm = topology.vm(name)
    if vm is None:
        known = ", ".join(sorted(other.name for other in topology.vms())) or "none"
        raise UsageError(f"no VM {name!r} is known here; known: {known}")
    return vm


def _place(request: Request, known: Known, vm: Vm | None, record: PacketInRecord | None) -> tuple[BridgeId, int]:
    if request.dumps:
        bridge = known.topology.bridges[0]
        return bridge.id, _port(bridge, request.in_port or "", "--in-port", any_number=not bridge.ports)
    if request.at is not None:
        if vm is not None:
            raise UsageError("--at and --from both say where the packet comes in: give one")
        place, colon, port = request.at.rpartition(":")
        found = next((bridge for bridge in known.topology.bridges if str(bridge.id) == place), None)
        if not colon or found is None:
            names = ", ".join(str(bridge.id) for bridge in known.topology.vfds())
            raise UsageError(f"--at {request.at}: write SERVER/BRIDGE:PORT with one of {names}")
        return found.id, _port(found, port, "--at", any_number=False)
    if vm is not None:
        return vm.bridge, vm.port.ofport
    if record is not None:
        return record.bridge, record.in_port
    raise UsageError("where the packet comes in is open: say --at SERVER/BRIDGE:PORT or --from VM")


def _port(bridge: Bridge, text: str, option: str, *, any_number: bool) -> int:
    if text.upper() == "LOCAL":
        return OFPP_LOCAL
    named = bridge.port_named(text)
    if named is not None:
        return named.ofport
    if text.isdecimal() and (any_number or bridge.port(int(text)) is not None):
        return int(text)
    known = sorted((port for port in bridge.ports if port.ofport != OFPP_LOCAL), key=lambda port: port.ofport)
    ports = ", ".join(f"{port.ofport} ({port.name})" for port in known) or "numbers only: no show was given"
    raise UsageError(f"{option}: {bridge.id} has no port {text!r}; it has {ports}")


def _packet(
    request: Request, topology: Topology, vm: Vm | None, record: PacketInRecord | None, *, most_tags: int
) -> TypedPacket:
    if record is not None:
        return TypedPacket(record.headers, record.tunnel)
    if request.hex_text is not None:
        return TypedPacket(_headers(frame_of_hex(request.hex_text), "--hex", most_tags))
    if request.pcap is not None:
        return _captured(request, request.pcap, most_tags)
    return typed_packet(request.packet or "", request.length, vm, topology)


def _headers(captured: CapturedFrame, name: str, most_tags: int) -> Headers:
    read = headers(captured.frame, captured.total_length, most_tags)
    if not read.eth_src:
        raise CodecError(f"{name}: {len(captured.frame)} bytes hold no Ethernet header")
    return read


def _captured(request: Request, path: Path, most_tags: int) -> TypedPacket:
    wanted = None if request.packet is None else parse(request.packet)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    number = 0
    for number, captured in enumerate(frames_of_capture(data, str(path)), start=1):
        if request.frame is not None and number != request.frame:
            continue
        read = _headers(captured, f"{path}, frame {number}", most_tags)
        if request.frame is not None or wanted is None or accepts(wanted, read):
            return TypedPacket(read, notes=(f"Frame {number} of {path}.",))
    if request.frame is not None:
        raise UsageError(f"--frame {request.frame}: {path} has {number} frames, numbered from 1")
    raise UsageError(f"none of the {number} frames of {path} is such a packet")


def _against_ovs(visit: ServerVisit, topology: Topology, ct_state: int | None) -> Agreement:
    entry = visit.entry
    bridge = topology.bridge(entry.bridge)
    if bridge is None or entry.headers_in is None or not isinstance(bridge.attachment, ManagementSocket):
        return Agreement(entry.bridge, None, "could not be asked: it is not on this host")
    if not visit.steps:
        return Agreement(entry.bridge, None, "nothing to compare: the walk did not go through it")
    if entry.in_port is None:
        return Agreement(entry.bridge, None, "could not be asked: the ingress port is not known")
    neighbours = (other for other in topology.bridges if other.id.node == entry.bridge.node)
    names = PortNames({port.name: port.ofport for other in neighbours for port in other.ports})
    flow = trace_flow(entry.headers_in, entry.in_port, entry.arrived_by)
    states = None if ct_state is None else ct_next(ct_state)
    try:
        answer = ofproto_trace(Path(bridge.attachment.path).parent, entry.bridge.name, flow, TRACE_TIMEOUT, states)
        trace = parse_trace(answer, names)
    except (InfrastructureError, OSError) as error:
        return Agreement(entry.bridge, None, f"could not be asked: {error}")
    return agreement(visit, trace, (other.id for other in topology.vfds()))


def _with_datapath(found: Agreement, visit: ServerVisit, topology: Topology) -> Agreement:
    """With what the datapath does now: traffic meets that, and a trace would have it computed anew."""
    entry = visit.entry
    bridge = topology.bridge(entry.bridge)
    question = DatapathQuestion.about(entry.bridge.node, entry.headers_in, entry.arrived_by)
    if bridge is None or found.trace is None or question is None:
        return found
    follows, sentence = followed(DatapathAudit(TRACE_TIMEOUT, TRACE_TIMEOUT).read(bridge, question))
    return replace(found, follows=follows, datapath=sentence)
