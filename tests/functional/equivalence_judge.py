"""Turns two VFDs' production, a trace and packets into trials on a real Open vSwitch: each before and after arming."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from equivalence_generator import Wanted, World
from equivalence_packets import Packet, in_six
from equivalence_rules import Arms, Kind, Trial, judged, passes
from openflow_peer import DEADLINE, OpenFlowPeer
from vfd_chain import NOW, SETTINGS, VNI, VTEP_1, VTEP_2, VTEP_3, bridge_id, topology

from vtrace_ovs.codecs import openflow
from vtrace_ovs.errors import RefusedError
from vtrace_ovs.filters.canonical import canonical_text
from vtrace_ovs.instrumentation.aliases import with_aliases
from vtrace_ovs.instrumentation.changes import changes
from vtrace_ovs.instrumentation.marks import MarkPlan, code_points_in_use
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.topology import BridgeId, Port, PortKind
from vtrace_ovs.ovsdb.unixctl import ControlSocket, control_socket

ANSWER_DEADLINE = 60.0
LOOPS = "over max translation depth"
"""Open vSwitch gives up a loop between bridges there, after fewer rounds with our flows among them."""
PORTS = {
    "near": (
        Port(1, "n1", PortKind.EDGE, tenant="red", vni=VNI),
        Port(2, "near-far", PortKind.PATCH, peer="far-near"),
        Port(3, "n3", PortKind.EDGE, tenant="red", vni=VNI),
        Port(4, "vx", PortKind.TUNNEL),
    ),
    "far": (
        Port(1, "far-near", PortKind.PATCH, peer="near-far"),
        Port(2, "f2", PortKind.EDGE),
        Port(3, "f3", PortKind.EDGE),
        Port(4, "f4", PortKind.EDGE),
    ),
}
MAC = "mod_dl_dst:02:00:00:00:00:0"
GROUPS = (
    f"group_id=1,type=all,bucket=actions={MAC}5,output:2,bucket=output:3",
    "group_id=2,type=all,bucket=resubmit(,4),bucket=output:3",
    "group_id=3,type=indirect,bucket=actions=set_field:7->reg0,resubmit(,4)",
    "group_id=4,type=ff,bucket=watch_port:2,actions=output:2,bucket=watch_port:3,actions=output:3",
    "group_id=5,type=select,bucket=actions=output:2,bucket=actions=output:3",
    "group_id=6,type=all,bucket=actions=mod_nw_dst:10.0.0.3,output:2,bucket=actions=dec_ttl,output:3",
)
METER = "meter=7,pktps,burst,band=type=drop,rate=100000,burst_size=100000"
KNOWN_MACS = (("n3", "02:00:00:00:00:03"), ("near-far", "02:00:00:00:00:02"))
PROTOCOLS = {"ip": None, "tcp": 6, "udp": 17}


def armed_task(slot: int, wanted: Wanted) -> ArmedTask:
    there = in_six if wanted.six else str
    networks = {name: ip_network(there(text)) for name, text in wanted.addresses.items()}
    drafted = Filter(
        "",
        PROTOCOLS[wanted.protocol],
        source=networks.get("nw_src"),
        destination=networks.get("nw_dst"),
        destination_port=wanted.destination_port,
        family=IpFamily.IPV6 if wanted.six else IpFamily.IPV4,
    )
    task_filter = replace(drafted, text=canonical_text(drafted))
    ports = (SourcePorts(bridge_id("near"), frozenset(wanted.sources)),)
    vnis = None if wanted.vnis is None else frozenset(wanted.vnis)
    return ArmedTask(slot + 5, task_filter, ports, 2, NOW + 30, vnis, fragments=wanted.fragments)


@dataclass
class Bench:
    """A real Open vSwitch with two VFDs, to compare one world after another on."""

    ovs: OvsInstance
    peers: Mapping[str, OpenFlowPeer]
    control: ControlSocket

    def try_out(self, world: World) -> tuple[list[Trial], str | None]:
        """A trial per packet, and why the planner refused, if it did. What production sends in circles is left out."""
        for name, lines in (("near", world.near), ("far", world.far)):
            self.ovs.ofctl("add-flows", name, "-", stdin="\n".join(["delete", *map(str, lines)]))
        try:
            arms = self.plan(world)
        except RefusedError as refused:
            return [], str(refused)
        before = self.texts([arms.clean(packet) for packet in world.packets])
        compared = [packet for packet, text in zip(world.packets, before, strict=True) if LOOPS not in text]
        plain = [passes(text) for text in before if LOOPS not in text]
        for name, plan in arms.plans.items():
            self.install(name, plan)
        armed = [passes(text) for text in self.texts(compared)]
        self.wipe(arms)
        together = zip(compared, plain, armed, strict=True)
        return [judged(arms, packet, before, after) for packet, before, after in together], None

    def read(self, name: str) -> BridgeTables:
        """The tables of a bridge as the product reads them."""
        peer = self.peers[name]
        groups = openflow.groups(peer.multipart(openflow.group_desc_request).body)
        meters = openflow.meters(peer.multipart(openflow.meter_config_request).body)
        return BridgeTables(peer.dpid, NOW, peer.flows(), groups, meters)

    def plan(self, world: World) -> Arms:
        """Plan both VFDs. Raises RefusedError."""
        tables = {name: self.read(name) for name in PORTS}
        in_use = frozenset[int]().union(*map(code_points_in_use, tables.values()))
        marks = MarkPlan.of(in_use=in_use)
        for dscp in world.series:
            marks = marks.with_series(dscp) or marks
        around = topology(PORTS)
        armed = frozenset({*map(bridge_id, PORTS), BridgeId("s2", "br")})
        tasks = tuple(armed_task(*each) for each in enumerate(world.tasks))
        if world.aliased:
            known = tuple(tables.values())
            tasks = tuple(
                with_aliases(task, (other for other in tasks if other is not task), around, known, canonical_text)
                for task in tasks
            )
        arms = Arms(tasks, marks)
        for name in PORTS:
            bridge = around.bridge(bridge_id(name))
            assert bridge is not None
            scene = Scene(around, armed, marks)
            arms.plans[name] = plan_bridge(bridge, tables[name], arms.tasks, scene, settings=SETTINGS, now=NOW)
        return arms

    def install(self, name: str, plan: BridgePlan) -> None:
        steps = changes(None, plan)
        for meter in steps.meters_set:
            self.peers[name].send(partial(openflow.meter_mod, meter))
        self.peers[name].modify(*steps.sinks_add, *steps.relays_add, *steps.sources_add)

    def wipe(self, arms: Arms) -> None:
        for name, plan in arms.plans.items():
            steps = changes(plan, None)
            all_of_it = FlowMod(FlowModCommand.DELETE, 0xFF, 0, Match(), 0x5654 << 48, 0xFFFF << 48)
            self.peers[name].modify(all_of_it)
            for meter in steps.meters_delete:
                self.peers[name].send(partial(openflow.meter_mod, meter))
            self.peers[name].barrier()

    def texts(self, packets: Sequence[Packet]) -> list[str]:
        return list(self.control.run(*(("ofproto/trace", "near", packet.text) for packet in packets)))


@contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """A real OVS with the two VFDs, their groups, meter, MAC table and underlay."""
    ovs = OvsInstance(directory, dummy=True)
    ovs.start()
    try:
        for name, ports in PORTS.items():
            ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
            for port in ports:
                ovs.vsctl("add-port", name, port.name, "--", "set", "interface", port.name, *_options(port))
            for group in GROUPS:
                ovs.ofctl("add-group", name, group)
            ovs.ofctl("add-meter", name, METER)
        _build_underlay(ovs)
        for port_name, mac in KNOWN_MACS:
            ovs.appctl("fdb/add", "near", port_name, "0", mac)
        peers = {name: OpenFlowPeer(ovs.management_socket(name)) for name in PORTS}
        control = control_socket(ovs.directory, ANSWER_DEADLINE)
        yield Bench(ovs, peers, control)
        control.close()
        for peer in peers.values():
            peer.close()
    finally:
        ovs.stop()


def _options(port: Port) -> Sequence[str]:
    wanted = f"ofport_request={port.ofport}"
    if port.kind is PortKind.PATCH:
        return ("type=patch", f"options:peer={port.peer}", wanted)
    if port.kind is PortKind.TUNNEL:
        return ("type=vxlan", "options:remote_ip=flow", "options:key=flow", wanted)
    return ("type=dummy", wanted)


def _build_underlay(ovs: OvsInstance) -> None:
    """Somewhere for tunnel packets to go, so that ofproto/trace shows them leave."""
    ovs.vsctl("add-br", "under", "--", "set", "bridge", "under", "datapath_type=dummy", "fail_mode=secure")
    ovs.vsctl("add-port", "under", "wire", "--", "set", "interface", "wire", "type=dummy")
    ovs.ofctl("add-flow", "under", "actions=output:1")
    ovs.appctl("netdev-dummy/ip4addr", "under", f"{VTEP_1}/24")
    ovs.appctl("ovs/route/add", f"{VTEP_1}/24", "under")
    deadline = time.monotonic() + DEADLINE
    while not all(f"{vtep} " in ovs.appctl("tnl/neigh/show") for vtep in (VTEP_2, VTEP_3)):
        assert time.monotonic() < deadline, "no tunnel neighbours"
        for vtep in (VTEP_2, VTEP_3):  # vswitchd forgets them while it still takes notice of the new address
            ovs.appctl("tnl/neigh/set", "under", str(vtep), "aa:55:aa:55:00:09")


@dataclass
class Tally:
    """What came of every world. A case is one packet on one world, before and after."""

    worlds: int = 0
    cases: Counter[Kind] = field(default_factory=Counter)
    copies: int = 0
    marked: int = 0
    recirculated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    different: Counter[Kind] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, bench: Bench, world: World) -> None:
        """Compare one world. Raises OSError when Open vSwitch hangs or dies."""
        trials, refusal = bench.try_out(world)
        self.worlds += 1
        if refusal is not None:
            self.refused[refusal] += 1
        for trial in trials:
            self.cases[trial.kind] += 1
            self.copies += trial.copies
            self.marked += bool(trial.marked)
            self.recirculated += trial.recirculated > 0
            if trial.difference is not None:
                self.different[trial.kind] += 1
                self.differences.append(f"{world}\n{trial.difference}")
