"""Turns bridges of 100,000 flows into times: reading their tables, and walking a packet, against ``ofproto/trace``.

Both bridges are on a real ovs-vswitchd (dummy datapath). ``ofproto/trace`` is asked through the control socket, one
connection per call as ovs-appctl makes, without the cost of starting ovs-appctl. Each packet's outputs are compared:
a wrong answer ends the benchmark.
"""

import gc
import re
import sys
import tempfile
from pathlib import Path
from time import perf_counter, thread_time

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "functional"))

from big_tables import FLOWS, PORTS, BigBridge, Packet, acl_bridge, overlay_bridge
from openflow_peer import OpenFlowPeer  # found by the line before
from page import Section, microseconds, publish, quantile, verdict

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.action_decoding import decode_action
from vtrace_ovs.codecs.instructions import decode_instructions
from vtrace_ovs.codecs.matching import decode_match, decode_tlv
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.trajectory import Ending, Trajectory
from vtrace_ovs.ovsdb.ofproto_trace import ofproto_trace
from vtrace_ovs.walker.network import Network
from vtrace_ovs.walker.walk import WalkStart, walk

PACKETS = 400
TRACE_TIMEOUT = 60.0
ROUNDS = 5
LOAD_BAR, WALK_BAR, RATIO_BAR = 2.0, 100e-6, 5.0
MEMORIES = (decode_action, decode_instructions, decode_match, decode_tlv)
PORT = "-- add-port {bridge} {name} -- set interface {name} type=dummy ofport_request={number}"
OUTPUTS = re.compile(r"^ *output:(\d+)$", re.MULTILINE)


def main() -> None:
    """Measure both bridges."""
    with tempfile.TemporaryDirectory() as place:
        ovs = OvsInstance(Path(place), dummy=True)
        try:
            ovs.start()
            walks, loads = [], []
            for bridge in (acl_bridge(PACKETS), overlay_bridge(PACKETS)):
                body = _install(ovs, bridge)
                walk_row, load_row = _measured(ovs, bridge, body)
                walks.append(walk_row)
                loads.append(load_row)
        finally:
            ovs.stop()
    publish(_walk_section(walks))
    publish(_load_section(loads))


def _install(ovs: OvsInstance, bridge: BigBridge) -> bytes:
    """Put the flows on a bridge of a real Open vSwitch; the body of its flow statistics reply."""
    ports = (
        word
        for number, name in ((number, f"{bridge.name[0]}{number}") for number in range(1, PORTS + 1))
        for word in PORT.format(bridge=bridge.name, name=name, number=number).split()
    )
    ovs.vsctl("add-br", bridge.name, "--", "set", "bridge", bridge.name, "datapath_type=dummy", *ports)
    ovs.ofctl("del-flows", bridge.name)
    ovs.ofctl("add-flows", bridge.name, "-", stdin="\n".join(bridge.flows))
    peer = OpenFlowPeer(ovs.management_socket(bridge.name))
    body = peer.multipart(openflow.flow_stats_request).body
    peer.close()
    return body


def _measured(ovs: OvsInstance, bridge: BigBridge, body: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    topology = _topology(bridge.name)
    network, load_row = _load(bridge, body, topology)
    cases = [(_start(bridge, packet), packet.trace_text) for packet in bridge.packets]
    for start, _ in cases:  # as in a running controller: each flow's operations and words are made once
        walk(network, start)
    ours, spent, theirs = [], [], []
    gc.collect()
    for start, text in cases:
        began = perf_counter()
        traced = ofproto_trace(ovs.directory, bridge.name, text, TRACE_TIMEOUT)
        theirs.append(perf_counter() - began)
        for _ in range(ROUNDS):
            began, before = perf_counter(), thread_time()
            trajectory = walk(network, start)
            spent.append(thread_time() - before)
            ours.append(perf_counter() - began)
        outputs = _outputs(trajectory)
        if outputs != [int(port) for port in OUTPUTS.findall(traced.partition("Final flow:")[0])]:
            raise SystemExit(f"{bridge.name}: {text}: walked to {outputs}, but ofproto/trace says\n{traced}")
    median, reference = quantile(ours, 0.5), quantile(theirs, 0.5)
    ratio, processor = reference / median, quantile(spent, 0.5)
    walk_row = (
        bridge.told,
        f"{microseconds(median)} / {microseconds(quantile(ours, 0.99))}",
        f"{microseconds(reference)} / {microseconds(quantile(theirs, 0.99))}",
        f"{ratio:.1f} to 1 ({verdict(RATIO_BAR, ratio)})",
        f"{microseconds(processor)} ({verdict(processor, WALK_BAR)})",
    )
    return walk_row, load_row


def _load(bridge: BigBridge, body: bytes, topology: Topology) -> tuple[Network, tuple[str, ...]]:
    """Decode and index, with nothing remembered, then again as a running controller does; the best of three each."""
    decoding, indexing, again = [], [], []
    memory = 0
    for _ in range(3):
        for cache in MEMORIES:
            cache.cache_clear()
        network: Network | None = None
        flows: tuple[Flow, ...] = ()
        gc.collect()
        before = _resident()
        began = thread_time()
        flows = openflow.flows(body)
        decoded = thread_time()
        network = _network(flows, topology)
        indexed = thread_time()
        memory = max(memory, _resident() - before)
        decoding.append(decoded - began)
        indexing.append(indexed - decoded)
        openflow.flows(body)
        again.append(thread_time() - indexed)
    if len(flows) != FLOWS or network is None:
        raise SystemExit(f"{bridge.name}: {len(flows)} flows came back instead of {FLOWS}")
    best = min(a + b for a, b in zip(decoding, indexing, strict=True))
    row = (
        bridge.told,
        f"{len(body) / 1e6:.1f} MB",
        f"{min(decoding):.2f} s",
        f"{min(indexing):.2f} s",
        f"{best:.2f} s ({verdict(best, LOAD_BAR)})",
        f"{min(again):.2f} s",
        f"{memory / 1e6:.0f} MB",
    )
    return network, row


def _network(flows: tuple[Flow, ...], topology: Topology) -> Network:
    """The bridge with every table indexed, not only those that packets have come to."""
    bridge = topology.bridges[0]
    network = Network.build(topology, {bridge.id: BridgeTables(1, 0.0, flows)})
    for table_id in {flow.table_id for flow in flows}:
        network.views[bridge.id].indexes[table_id]
    return network


def _topology(name: str) -> Topology:
    ports = tuple(Port(number, f"p{number}", PortKind.EDGE) for number in range(1, PORTS + 1))
    bridge = Bridge(BridgeId("server", name), 1, BridgeRole.VSWITCH, ports, ManagementSocket(f"{name}.mgmt"))
    return Topology((Node("server", "unix:db.sock", ()),), (bridge,))


def _start(bridge: BigBridge, packet: Packet) -> WalkStart:
    return WalkStart(1, "packet", 1, BridgeId("server", bridge.name), packet.in_port, packet.headers)


def _outputs(trajectory: Trajectory) -> list[int]:
    """The ports a packet is predicted to leave by."""
    return [hop.out_port for hop in trajectory.hops if hop.ending is Ending.HANDED_TO_PORT and hop.out_port]


def _resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _walk_section(rows: list[tuple[str, ...]]) -> Section:
    return Section(
        "walker",
        f"Walking one packet through a bridge of {FLOWS:,} flows",
        (
            "tables",
            "`walk` p50 / p99",
            "`ofproto/trace` p50 / p99",
            "ratio of p50 (bar 5 to 1)",
            "processor time of `walk`, p50 (bar 100 µs)",
        ),
        rows,
        (
            f"{PACKETS} packets, the same ones for both; every output agreed. `walk` {ROUNDS} times each, warm.",
            "Neither time has the making of its question in it: captured headers, or the text for `ofproto/trace`.",
            "`ofproto/trace` over the control socket, one connection per call, without starting ovs-appctl.",
        ),
    )


def _load_section(rows: list[tuple[str, ...]]) -> Section:
    return Section(
        "decoder",
        f"Reading the tables of {FLOWS:,} flows",
        ("tables", "reply", "decode", "index", "both (bar 2 s)", "decode again", "memory"),
        rows,
        (
            "Processor time, best of three, from the bytes of the reply to tables ready to walk, nothing remembered.",
            "“Decode again” is the next reading by a controller that remembers matches and instructions.",
        ),
    )


if __name__ == "__main__":
    main()
