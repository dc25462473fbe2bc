"""Turns tables and packets into two answers, ``ofproto/trace`` on a real ovs-vswitchd and the walker, and compares."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from openflow_peer import OpenFlowPeer
from walker_megaflows import NOT_COMPARABLE, unseen

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import (
    BridgeTables,
    Bucket,
    Flow,
    FlowMod,
    FlowModCommand,
    GroupEntry,
    GroupType,
    PortDescription,
)
from vtrace_ovs.model.mac_table import MacEntry, MacTable, SwitchPort, VlanMode
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import field as oxm_field
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.wording import actions_text, flow_text, instructions_text
from vtrace_ovs.ovsdb.unixctl import ControlSocket, control_socket
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.visit import Visit

PORTS = (1, 2, 3, 4)
TUNNEL_PORT = 5
OURS = 1 << 32
TRACKED_NEW = 0x21  # what ofproto/trace assumes at every recirculation
LENGTH = 118
LOCAL_IN_DATAPATH = 100
ANY = act.OFPP_ANY
ANSWER_DEADLINE = 60.0
RECLAIMED_WITHIN = 3.0
GROUPS = (
    GroupEntry(1, GroupType.ALL, (
        Bucket(0, ANY, ANY, (act.Output(2), act.DecTtl())),
        Bucket(0, ANY, ANY, (act.SetField(oxm_field("ipv4_dst"), 0x0A000002, 0xFFFFFFFF), act.Resubmit(None, 3))),
    )),
    GroupEntry(2, GroupType.INDIRECT, (Bucket(0, ANY, ANY, (act.Output(2), act.Output(3))),)),
    GroupEntry(3, GroupType.FAST_FAILOVER, (
        Bucket(0, 77, ANY, (act.Output(2),)), Bucket(0, 3, ANY, (act.Output(3),)),
    )),
    GroupEntry(4, GroupType.FAST_FAILOVER, (Bucket(0, 77, ANY, (act.Output(2),)),)),
    GroupEntry(5, GroupType.SELECT, (
        Bucket(1, ANY, ANY, (act.Output(2),)), Bucket(1, ANY, ANY, (act.Output(3),)),
    )),
    GroupEntry(6, GroupType.SELECT, (
        Bucket(1, 77, ANY, (act.Output(2),)), Bucket(1, 3, ANY, (act.Output(3),)),
    )),
)  # fmt: skip
LEARNED = MacTable((MacEntry(2, 0, 2), MacEntry(3, 5, 3), MacEntry(4, 5, 4)), (SwitchPort(4, VlanMode.ACCESS, 5),))
_KINDS = {GroupType.ALL: "all", GroupType.SELECT: "select", GroupType.INDIRECT: "indirect"}


@dataclass(frozen=True)
class Packet:
    """IPv4 TCP or UDP, or ARP (``arp_op`` set); ``tracked`` makes it one of a connection begun to 10.0.0.3:3."""

    in_port: int = 1
    protocol: int = 6
    source: str = "10.0.0.1"
    destination: str = "10.0.0.2"
    source_port: int = 1
    destination_port: int = 2
    ttl: int = 64
    vlan: int | None = None
    eth_dst: int = 2
    arp_op: int | None = None
    tracked: bool = False

    @property
    def trace_text(self) -> str:
        tag = "" if self.vlan is None else f"dl_vlan={self.vlan},dl_vlan_pcp=0,"
        link = f"in_port={self.in_port},{tag}dl_src=00:00:00:00:00:01,dl_dst={self.eth_dst.to_bytes(6).hex(':')},"
        if self.arp_op is not None:
            return (
                f"{link}arp,arp_op={self.arp_op},arp_spa={self.source},arp_tpa={self.destination},"
                "arp_sha=00:00:00:00:00:01,arp_tha=00:00:00:00:00:00"
            )
        kind = "tcp" if self.protocol == 6 else "udp"
        begun = "ct_state=trk|est,ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.3,ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=3,"
        return (
            f"{begun if self.tracked else ''}{link}dl_type=0x0800,"
            f"nw_proto={self.protocol},nw_src={self.source},nw_dst={self.destination},nw_ttl={self.ttl},"
            f"{kind}_src={self.source_port},{kind}_dst={self.destination_port}"
        )

    @property
    def trace_words(self) -> tuple[str, ...]:
        return (self.trace_text,)

    @property
    def headers(self) -> Headers:
        source, destination = IPv4Address(self.source), IPv4Address(self.destination)
        macs = "00:00:00:00:00:01", self.eth_dst.to_bytes(6).hex(":")
        if self.arp_op is not None:
            body = bytes.fromhex("0001080006040000000000000001")
            body = body[:6] + self.arp_op.to_bytes(2) + body[8:] + source.packed + bytes(6) + destination.packed
            return Headers(*macs, 0x0806, 60, self.vlan, payload=body)
        five_tuple = FiveTuple(self.protocol, source, destination, self.source_port, self.destination_port)
        return Headers(*macs, 0x0800, LENGTH, self.vlan, five_tuple, 0, 0, self.ttl, tcp_flags=0)

    @property
    def tunnel(self) -> None:
        return None

    @property
    def state(self) -> PacketState:
        state = packed_state(self.headers, self.in_port, None)
        if self.tracked:
            begun = {"ct_state": 0x22, "ct_nw_src": 0x0A000001, "ct_nw_dst": 0x0A000003, "ct_nw_proto": 6}
            for name, value in (*begun.items(), ("ct_tp_src", 1), ("ct_tp_dst", 3)):
                state.packed |= layout.placed(name, value)
        return state


class Traced(Protocol):
    """A packet that can be given to both."""

    @property
    def state(self) -> PacketState:
        """As the walker takes it."""

    @property
    def tunnel(self) -> Tunnel | None:
        """What it came in."""

    @property
    def trace_words(self) -> tuple[str, ...]:
        """As ``ofproto/trace`` takes it, behind the name of the bridge."""


Searches = list[tuple[int, int | None]]


@dataclass(frozen=True)
class Answer:
    """What a bridge does with a packet: (table, cookie or None for no match) in order, and ports of the datapath."""

    searches: Searches
    outputs: list[int]


@dataclass(frozen=True)
class Comparison:
    """One packet on one table set. ``open`` names what the walker could not decide; ``disagreement`` tells all."""

    disagreement: str | None = None
    open: tuple[str, ...] = ()
    ambiguous: bool = False
    searches: int = 0
    outputs: int = 0


def traced(text: str) -> Answer:
    """What ofproto/trace says.

    When the first pass fails, the datapath drops the packet, but trace goes on with copies that never were: cut off.
    """
    first, _, _ = text.partition("=" * 79)
    text = first if "Translation failed" in first else text
    searches: Searches = []
    for table, rest in re.findall(r"^ *(\d+)\. (.*)$", text, re.MULTILINE):
        cookie = re.search(r"cookie (0x[0-9a-f]+)", rest)
        searches.append((int(table), int(cookie[1], 16) if cookie else None))
        assert cookie or rest == "No match.", text
    outputs: list[int] = []
    for line in re.findall(r"^Datapath actions: (.*)$", text, re.MULTILINE):
        outputs += datapath_outputs(line)
    return Answer(searches, outputs)


def datapath_outputs(text: str) -> Iterator[int]:
    """Port numbers in a list of datapath actions, those in ``clone(…)`` and the right half of ``check_pkt_len`` too."""
    for action in _listed(text):
        name, _, inside = action.partition("(")
        if name.isdigit():
            yield int(name)
        elif name == "clone":
            yield from datapath_outputs(inside[:-1])
        elif name == "check_pkt_len":
            size, larger, other = _listed(inside[:-1])
            taken = larger if int(size.removeprefix("size=")) < LENGTH else other
            yield from datapath_outputs(taken[3:-1])


def _listed(text: str) -> Iterator[str]:
    """The parts between the commas that are in no parentheses."""
    depth = begin = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def answer_of(visit: Visit) -> Answer:
    searches = [(found.table_id, None if found.entry is None else found.entry.flow.cookie) for found in visit.searches]
    ports = [LOCAL_IN_DATAPATH if each.port == act.OFPP_LOCAL else each.port for each in visit.emissions]
    return Answer(searches, [port for port in ports if port != TUNNEL_PORT])  # there is no route to any VTEP


def view_of(flows: Sequence[Flow]) -> BridgeView:
    """The bridge with these flows, as the walker takes it."""
    ports = tuple(
        PortDescription(port, f"p{port}", "", link_down=False, admin_down=False) for port in (*PORTS, TUNNEL_PORT)
    )
    return BridgeView(BridgeTables(1, 0.0, tuple(flows), GROUPS, (), ports), mac_table=LEARNED)


def walked(view: BridgeView, packet: Traced) -> Visit:
    return evaluate(view, packet.state, LENGTH, TRACKED_NEW)


def compared(view: BridgeView, packet: Traced, text: str) -> Comparison:
    """Hold the walk of a packet against what trace said.

    Where the walker leaves it open, what it did say must hold, unless a limit came later and forgot it.
    """
    visit = walked(view, packet)
    if any(found.ambiguous for found in visit.searches):
        return Comparison(ambiguous=True)
    ours, theirs = answer_of(visit), traced(text)
    undecided = tuple(stop.detail or "" for stop in visit.stops if stop.shape is None or stop.detail)
    undecided = tuple(name for name in undecided if not name.startswith("the packet went to a controller only"))
    both_lengths = "check_pkt_larger" in text
    if undecided:
        agree = "Translation failed" in text or all(
            ours.outputs.count(port) <= theirs.outputs.count(port) for port in ours.outputs
        )
    else:
        unordered = any(name in text for name in ("FLOOD", "ALL", "NORMAL"))
        outputs = (sorted(ours.outputs), sorted(theirs.outputs)) if unordered else (ours.outputs, theirs.outputs)
        agree = outputs[0] == outputs[1] and (both_lengths or ours.searches == theirs.searches)
    told = None if agree else f"{packet}\nwalker: {ours}\ntrace: {theirs}\n{text}"
    return Comparison(told, undecided, searches=len(ours.searches), outputs=len(ours.outputs))


@dataclass
class Judge:
    """One bridge of a real OVS; the dummy datapath numbers its ports like OpenFlow, and LOCAL 100.

    ``megaflows`` is how many had their fields compared with what the walk looked at.
    """

    ovs: OvsInstance
    peer: OpenFlowPeer
    control: ControlSocket
    megaflows: int = 0

    def install(self, flows: Sequence[Flow]) -> BridgeView:
        """Install exactly these flows, and read the tables back as the product does."""
        clear = FlowMod(FlowModCommand.DELETE, openflow.ALL_TABLES, 0, Match(), OURS, OURS)
        mods = [clear] + [
            FlowMod(FlowModCommand.ADD, each.table_id, each.priority, each.match, each.cookie, 0, each.instructions)
            for each in flows
        ]
        for mod in mods:
            self.peer.send(partial(openflow.flow_mod, mod))
        stored = self.peer.flows()
        assert len(stored) == len(flows), "two flows have the same key"
        return view_of(stored)

    def compare(self, view: BridgeView, packets: Sequence[Traced]) -> list[Comparison]:
        texts = self.trace(packets)
        found = [compared(view, packet, text) for packet, text in zip(packets, texts, strict=True)]
        return [
            self._with_megaflow(view, packet, text, one)
            for packet, text, one in zip(packets, texts, found, strict=True)
        ]

    def trace(self, packets: Sequence[Traced]) -> Sequence[str]:
        """What ``ofproto/trace`` prints of each packet."""
        return self.control.run(*(("ofproto/trace", "br0", *packet.trace_words) for packet in packets))

    def _with_megaflow(self, view: BridgeView, packet: Traced, text: str, found: Comparison) -> Comparison:
        """A decided walk looks at all that the megaflow matches on. Removed flows still count there for a moment."""
        if found.disagreement is not None or found.open or found.ambiguous or any(w in text for w in NOT_COMPARABLE):
            return found
        visit, deadline = walked(view, packet), time.monotonic() + RECLAIMED_WITHIN
        while fields := unseen(view, packet.tunnel, visit, TUNNEL_PORT, text):
            if time.monotonic() > deadline:
                told = f"{packet}\nits megaflow matches on {', '.join(sorted(fields))}, which nothing looks at\n{text}"
                return replace(found, disagreement=told)
            (text,) = self.trace([packet])
        self.megaflows += 1
        return found

    def agree(self, flows: Sequence[Flow], packets: Sequence[Traced]) -> list[Comparison]:
        """Compare, and fail with the flows and both answers where they differ."""
        found = self.compare(self.install(flows), packets)
        wrong = [each.disagreement for each in found if each.disagreement is not None]
        assert not wrong, "\n".join([*map(flow_line, flows), wrong[0]])
        return found


def flow_line(each: Flow) -> str:
    """A flow as ovs-ofctl takes it."""
    return f"{flow_text(each.key, each.cookie)} actions={instructions_text(each.instructions)}"


def group_line(group: GroupEntry) -> str:
    buckets = [
        "bucket=" + (f"watch_port:{each.watch_port}," if each.watch_port != ANY else "")
        + (f"weight:{each.weight}," if group.type is GroupType.SELECT else "")
        + f"actions={actions_text(each.actions)}"
        for each in group.buckets
    ]  # fmt: skip
    return ",".join([f"group_id={group.group_id}", f"type={_KINDS.get(group.type, 'ff')}", *buckets])


@contextmanager
def judging(directory: Path) -> Iterator[Judge]:
    """A real OVS with one bridge, four ports, the groups and the MAC table."""
    ovs = OvsInstance(directory, dummy=True)
    ovs.start()
    try:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
        for port in PORTS:
            request = f"ofport_request={port}"
            ovs.vsctl("add-port", "br0", f"p{port}", "--", "set", "interface", f"p{port}", "type=dummy", request)
        tunnel = ["type=vxlan", "options:remote_ip=flow", "options:local_ip=flow", "options:key=flow"]
        ovs.vsctl("add-port", "br0", "t5", "--", "set", "interface", "t5", *tunnel, f"ofport_request={TUNNEL_PORT}")
        ovs.vsctl("set", "open_vswitch", ".", "other_config:vlan-limit=2")
        for access in LEARNED.ports:
            ovs.vsctl("set", "port", f"p{access.port}", f"tag={access.vlan}")
        for group in GROUPS:
            ovs.ofctl("add-group", "br0", group_line(group))
        for entry in LEARNED.entries:
            ovs.appctl("fdb/add", "br0", f"p{entry.port}", str(entry.vlan), entry.mac.to_bytes(6).hex(":"))
        peer = OpenFlowPeer(ovs.management_socket("br0"))
        control = control_socket(ovs.directory, ANSWER_DEADLINE)
        yield Judge(ovs, peer, control)
        control.close()
        peer.close()
    finally:
        ovs.stop()
