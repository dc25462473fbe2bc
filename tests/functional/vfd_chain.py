"""Turns one Open vSwitch into three chained VFDs with production pipelines, and plans into installed flows.

vm1 ── sw1 ══ rt ══ sw2 ── vm2          ══ patch ports; sw1 and sw2 also have a VXLAN port, remote_ip=flow, key=flow
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from openflow_peer import DEADLINE, OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.instrumentation.changes import PlanChanges, changes
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, FlowMod, MeterMod
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

CONTROLLER_ID = 0x7654
NOW = 1000.0
VTEP_1, VTEP_2, VTEP_3 = IPv4Address("198.18.7.1"), IPv4Address("198.18.7.2"), IPv4Address("198.18.7.3")
VNI, OTHER_VNI = 5001, 7001

PORTS = {
    "sw1": (
        Port(1, "vm1", PortKind.EDGE, vm="vm1", tenant="red", vni=VNI),
        Port(2, "sw1-rt", PortKind.PATCH, peer="rt-sw1"),
        Port(3, "vm3", PortKind.EDGE, vm="vm3", tenant="red", vni=VNI),
        Port(4, "vx1", PortKind.TUNNEL),
    ),
    "rt": (
        Port(1, "rt-sw1", PortKind.PATCH, peer="sw1-rt"),
        Port(2, "rt-sw2", PortKind.PATCH, peer="sw2-rt"),
        Port(3, "out", PortKind.EDGE),
    ),
    "sw2": (
        Port(1, "vm2", PortKind.EDGE, vm="vm2", tenant="red", vni=VNI),
        Port(2, "sw2-rt", PortKind.PATCH, peer="rt-sw2"),
        Port(3, "vx2", PortKind.TUNNEL),
    ),
}

PRODUCTION = {
    "sw1": """\
        table=0,priority=100,in_port=1,ip actions=set_field:1->reg0,resubmit(,10)
        table=0,priority=100,in_port=3,ip actions=set_field:3->reg0,goto_table:10
        table=0,priority=100,in_port=2,ip actions=resubmit(,20)
        table=0,priority=100,in_port=4,ip actions=resubmit(,20)
        table=0,priority=1,arp actions=NORMAL
        table=10,priority=100,tcp,tp_dst=22 actions=drop
        table=10,priority=90,udp,nw_dst=10.0.7.0/24 actions=set_field:9->reg1
        table=10,priority=50,ip,nw_src=10.0.1.0/24 actions=resubmit(,20)
        table=10,priority=40,ip,ip_dscp=46 actions=set_queue:3,output:2
        table=20,priority=100,ip,nw_dst=10.0.1.1 actions=set_field:02:00:00:00:00:01->eth_dst,output:1
        table=20,priority=100,ip,nw_dst=10.0.1.3 actions=output:3
        table=20,priority=90,ip,nw_dst=10.0.2.0/24 \
            actions=set_field:02:00:00:00:00:fe->eth_dst,dec_ttl,output:2,output:3
        table=20,priority=90,ip,nw_dst=10.0.8.0/24 \
            actions=set_field:5001->tun_id,set_field:198.18.7.2->tun_dst,output:4,output:3
        table=20,priority=90,ip,nw_dst=10.0.9.0/24 \
            actions=set_field:5001->tun_id,set_field:198.18.7.3->tun_dst,output:4,output:3
        table=20,priority=90,ip,nw_dst=10.0.6.0/24 \
            actions=set_field:7001->tun_id,set_field:198.18.7.2->tun_dst,output:4,output:3
        table=20,priority=90,ip,nw_dst=10.0.5.0/24 actions=ct(table=21,zone=7)
        table=20,priority=90,ip,nw_dst=10.0.4.0/24 \
            actions=set_field:3->reg5,move:NXM_NX_REG5[0..15]->NXM_NX_REG6[0..15],output:NXM_NX_REG6[0..15]
        table=20,priority=80,ip,nw_dst=10.0.3.0/24 actions=output:in_port
        table=21,priority=10,ct_state=+new+trk,ip actions=ct(commit,zone=7,nat(src=10.9.9.9)),output:3
        table=21,priority=10,ct_state=-new+trk,ip actions=output:3
    """,
    "rt": """\
        table=0,priority=10,ip,nw_ttl=1 actions=drop
        table=0,priority=9,ip,nw_dst=10.0.2.0/24 actions=dec_ttl,set_field:02:00:00:00:00:02->eth_dst,output:2
        table=0,priority=9,ip,nw_dst=10.0.1.0/24 actions=dec_ttl,output:1
        table=0,priority=8,ip,nw_dst=198.51.100.0/24 actions=output:3
        table=0,priority=0 actions=drop
    """,
    "sw2": """\
        table=0,priority=10,ip,nw_dst=10.0.2.2 actions=output:1
        table=0,priority=10,ip,nw_dst=10.0.1.0/24 actions=output:2
        table=0,priority=5,ip,nw_dst=10.0.2.9 actions=resubmit(,7),resubmit(,8)
        table=8,priority=1,ip actions=set_field:1->reg3,output:1
    """,
}


def bridge_id(name: str) -> BridgeId:
    return BridgeId("s1", name)


def topology(local: Mapping[str, tuple[Port, ...]] = PORTS) -> Topology:
    """VFDs with these ports on server s1, and a tunnel to each of two other servers."""
    bridges = tuple(
        Bridge(bridge_id(name), index, BridgeRole.VSWITCH, ports, ManagementSocket(""))
        for index, (name, ports) in enumerate(local.items(), 1)
    )
    remote = (Port(1, "vx", PortKind.TUNNEL),)
    others = tuple(
        Bridge(BridgeId(node, "br"), 9, BridgeRole.VSWITCH, remote, ManagementSocket("")) for node in ("s2", "s3")
    )
    nodes = (Node("s1", "", (VTEP_1,)), Node("s2", "", (VTEP_2,)), Node("s3", "", (VTEP_3,)))
    return Topology(nodes, (*bridges, *others))


def scene(marks: MarkPlan | None = None) -> Scene:
    """Every bridge here and server s2 are armed, s3 is not."""
    armed = frozenset({*(bridge_id(name) for name in PORTS), BridgeId("s2", "br")})
    return Scene(topology(), armed, marks or MarkPlan.of())


def traced(protocol: int | None = None, destination_port: int | None = None) -> ArmedTask:
    task_filter = Filter(
        "ip,nw_src=10.0.1.1", protocol, source=IPv4Network("10.0.1.1/32"), destination_port=destination_port
    )
    return ArmedTask(
        slot=5,
        filter=task_filter,
        sources=(SourcePorts(bridge_id("sw1"), frozenset({1})),),
        packet_count=2,
        deadline=NOW + 30,
        vnis=frozenset({VNI}),
    )


SETTINGS = Settings(CONTROLLER_ID, 1, log_rate=1)


@dataclass(slots=True)
class Chain:
    """The three VFDs, an OpenFlow connection to each, and what is installed on them."""

    ovs: OvsInstance
    connect: Callable[[str], OpenFlowPeer]
    peers: dict[str, OpenFlowPeer] = field(default_factory=dict)
    plans: dict[str, BridgePlan] = field(default_factory=dict)

    def build(self) -> None:
        for name, ports in PORTS.items():
            self.ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
            for port in ports:
                self.ovs.vsctl("add-port", name, port.name, "--", "set", "interface", port.name, *_options(port))
            self.ovs.ofctl("add-flows", name, "-", stdin="\n".join(PRODUCTION[name].strip().splitlines()))
            self.peers[name] = self.connect(name)

        self._build_underlay()

    def take_registers(self) -> None:
        """Have production mention all of them, and nothing that would let ``pkt_mark`` out."""
        everyone = ",".join(f"reg{number}=1" for number in range(16))
        for name in PORTS:
            self.ovs.ofctl("del-flows", name, "arp")
            self.ovs.ofctl("add-flow", name, f"table=99,priority=1,{everyone} actions=drop")

    def _build_underlay(self) -> None:
        """Somewhere for tunnel packets to go, so that ofproto/trace shows them leave."""
        self.ovs.vsctl("add-br", "under", "--", "set", "bridge", "under", "datapath_type=dummy", "fail_mode=secure")
        self.ovs.vsctl("add-port", "under", "wire", "--", "set", "interface", "wire", "type=dummy")
        self.ovs.ofctl("add-flow", "under", "actions=output:1")
        self.ovs.appctl("netdev-dummy/ip4addr", "under", f"{VTEP_1}/24")
        self.ovs.appctl("ovs/route/add", f"{VTEP_1}/24", "under")
        deadline = time.monotonic() + DEADLINE
        while not all(f"{vtep} " in self.ovs.appctl("tnl/neigh/show") for vtep in (VTEP_2, VTEP_3)):
            assert time.monotonic() < deadline, "no tunnel neighbours"
            for vtep in (VTEP_2, VTEP_3):  # vswitchd forgets them while it still takes notice of the new address
                self.ovs.appctl("tnl/neigh/set", "under", str(vtep), "aa:55:aa:55:00:09")

    def read(self, name: str) -> BridgeTables:
        peer = self.peers[name]
        return BridgeTables(
            dpid=peer.dpid,
            read_at=NOW,
            flows=peer.flows(),
            groups=openflow.groups(peer.multipart(openflow.group_desc_request).body),
            meters=openflow.meters(peer.multipart(openflow.meter_config_request).body),
        )

    def plan(self, name: str, *tasks: ArmedTask, marks: MarkPlan | None = None) -> BridgePlan:
        around = scene(marks)
        bridge = around.topology.bridge(bridge_id(name))
        assert bridge is not None
        before = self.plans.get(name)
        return plan_bridge(bridge, self.read(name), tasks, around, settings=SETTINGS, now=NOW, installed=before)

    def arm(self, *tasks: ArmedTask, marks: MarkPlan | None = None) -> None:
        plans = {name: self.plan(name, *tasks, marks=marks) for name in PORTS}
        for name, plan in plans.items():
            self.change(name, changes(self.plans.get(name), plan))
        if self.plans:  # a barrier is not the datapath: megaflows of the plan before may still carry packets
            self.ovs.appctl("revalidator/purge")
        self.plans = plans

    def disarm(self) -> None:
        for name, plan in self.plans.items():
            self.change(name, changes(plan, None))
        self.plans = {}

    def change(self, name: str, steps: PlanChanges) -> None:
        self.send(name, (*steps.meters_set, *steps.sources_delete, *steps.relays_delete, *steps.sinks_delete))
        self.send(name, (*steps.sinks_add, *steps.relays_add, *steps.sources_add, *steps.meters_delete))

    def send(self, name: str, mods: Iterable[FlowMod | MeterMod]) -> None:
        """In this order, and wait until it is so."""
        peer = self.peers[name]
        for mod in mods:
            if isinstance(mod, MeterMod):
                peer.send(partial(openflow.meter_mod, mod))
            else:
                peer.modify(mod)
        peer.barrier()

    def dumps(self) -> dict[str, tuple[list[str], str]]:
        """Flows and meters of all bridges, without counters and ages."""
        return {
            name: (flows_of(self.ovs, name), self.ovs.ofctl("dump-meters", name).split("\n", 1)[1]) for name in PORTS
        }

    def trace(self, name: str, flow: str) -> str:
        """The datapath actions ``ofproto/trace`` predicts."""
        shown = self.ovs.appctl("ofproto/trace", name, flow)
        return "\n".join(line for line in shown.splitlines() if line.startswith("Datapath actions:"))


def flows_of(ovs: OvsInstance, name: str) -> list[str]:
    """A bridge's flows without counters and ages, in one order: Open vSwitch leaves that of equal priorities open."""
    return sorted(ovs.ofctl("--no-stats", "dump-flows", name).splitlines())


def _options(port: Port) -> Iterable[str]:
    number = f"ofport_request={port.ofport}"
    if port.kind is PortKind.PATCH:
        return ("type=patch", f"options:peer={port.peer}", number)
    if port.kind is PortKind.TUNNEL:
        return (
            "type=vxlan",
            "options:remote_ip=flow",
            "options:key=flow",
            f"options:dst_port={4788 + port.ofport}",
            number,
        )
    return ("type=dummy", number)
