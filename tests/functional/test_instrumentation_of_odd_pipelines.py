"""D3: production of any shape goes on as before among our flows: whatever actions, priorities and registers it uses."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network

import pytest
from datapath_actions import copies, departures
from openflow_peer import OpenFlowPeer
from vfd_chain import CONTROLLER_ID, NOW, SETTINGS, bridge_id, flows_of

from vtrace_ovs.codecs import openflow
from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.changes import changes
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, SourcePorts
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import PKT_MARK
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import Bridge, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

BRIDGE = Bridge(
    bridge_id("br0"),
    1,
    BridgeRole.VSWITCH,
    (Port(1, "p1", PortKind.EDGE), Port(2, "p2", PortKind.EDGE), Port(3, "p3", PortKind.EDGE)),
    ManagementSocket(""),
)
SCENE = Scene(Topology((Node("s1", "", ()),), (BRIDGE,)), frozenset({BRIDGE.id}), MarkPlan.of())
TASK = ArmedTask(
    3,
    Filter("ip,nw_src=10.0.1.1", source=IPv4Network("10.0.1.1/32")),
    (SourcePorts(BRIDGE.id, frozenset({1})),),
    5,
    NOW + 30,
)
ALL_REGISTERS = ",".join(f"set_field:1->reg{n}" for n in range(16))
MAC = "mod_dl_dst:02:00:00:00:00:0"

PIPELINES = {
    "a priority chain that shadows": "priority=5,ip actions=2\npriority=6,ip,nw_dst=10.0.2.0/24 actions=3\n"
    "priority=7,tcp,nw_dst=10.0.2.0/25 actions=drop\npriority=6,arp actions=NORMAL\npriority=0 actions=3",
    "overlap at equal priority": "priority=5,ip actions=2\npriority=5,tcp actions=2",
    "the highest priorities": "priority=65533,ip actions=2\ntable=1,priority=65535,tcp actions=2\n"
    "table=1,priority=65534,ip,nw_dst=10.0.2.0/24 actions=3\ntable=1,priority=65533,ip actions=drop\n"
    "priority=65533,tcp actions=resubmit(,1)",
    "write actions and goto": "ip actions=write_actions(output:2),goto_table:3\ntable=3,tcp actions=drop\n"
    f"table=3,udp actions=clear_actions,write_metadata:0x5,goto_table:4\ntable=4,ip actions={MAC}7,output:3",
    "meters": "priority=2,tcp actions=meter:7,output:2\npriority=1,ip actions=meter:7",
    "groups": "priority=3,tcp actions=group:1\npriority=2,udp actions=group:2,output:3\npriority=1,ip actions=group:3",
    "conjunction": "priority=9,conj_id=4,ip actions=2\npriority=9,ip,nw_src=10.0.1.1 actions=conjunction(4,1/2)\n"
    "priority=9,ip,nw_src=10.0.1.77 actions=conjunction(4,1/2)\n"
    "priority=9,ip,nw_dst=10.0.2.2 actions=conjunction(4,2/2)\n"
    "priority=1,ip actions=3",
    "clone, stack, move": "priority=2,tcp actions=clone(mod_nw_dst:10.3.3.3,output:2),push:NXM_NX_REG0[],"
    "set_field:5->reg0,pop:NXM_NX_REG0[],output:3\npriority=1,ip actions=clone(resubmit(,6)),output:2\n"
    f"table=6,ip actions={MAC}9,output:3",
    "learn": "priority=1,ip actions=learn(table=9,hard_timeout=60,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "output:NXM_OF_IN_PORT[]),resubmit(,9)\ntable=9,priority=0 actions=NORMAL",
    "vlan": "priority=1,tcp actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2,pop_vlan,output:3\n"
    "priority=1,udp actions=mod_vlan_vid:9,resubmit(,5)\ntable=5,dl_vlan=9 actions=strip_vlan,output:3",
    "exit and note": "priority=2,tcp actions=output:2,exit,output:3\npriority=1,ip actions=note:01.02.03,output:2",
    "recursion": "priority=9,tcp,reg1=0 actions=set_field:1->reg1,resubmit(,0)\n"
    "priority=8,tcp,reg1=1 actions=output:2\npriority=1,ip actions=resubmit(3,0)\n"
    "priority=5,ip,in_port=3 actions=output:2",
    "rewrites before matches": "priority=2,tcp actions=mod_nw_src:10.9.0.9,set_field:99->tcp_dst,resubmit(,2)\n"
    "priority=1,ip actions=mod_nw_src:10.9.0.9,resubmit(,2)\n"
    "table=2,priority=2,tcp,nw_src=10.9.0.9,tp_dst=99 actions=2\ntable=2,priority=1,ip,nw_src=10.9.0.9 actions=3",
    "conntrack forks": "priority=1,ip,ct_state=-trk actions=ct(table=0),output:3\npriority=2,ip,ct_state=+trk+new "
    "actions=ct(commit,nat(dst=10.7.7.7)),output:2\npriority=2,ip,ct_state=+trk-new actions=ct(nat,table=4)\n"
    "table=4,ip actions=2",
    "every register": f"priority=1,ip actions={ALL_REGISTERS},resubmit(,2)\ntable=2,tcp actions=output:2,output:3\n"
    "table=2,udp actions=group:1\ntable=2,icmp actions=drop",
    "an action we do not know": "priority=2,tcp actions=bundle(eth_src,0,active_backup,ofport,members:2,3)\n"
    "priority=1,ip actions=push_mpls:0x8847,set_field:7->mpls_label,output:2",
    "to the controller": "priority=0 actions=controller:128\npriority=5,tcp actions=controller(id=9,max_len=60)",
}


def build(ovs: OvsInstance, flows: str) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
    for port in BRIDGE.ports:
        number = f"ofport_request={port.ofport}"
        ovs.vsctl("add-port", "br0", port.name, "--", "set", "interface", port.name, "type=dummy", number)
    ovs.ofctl("add-meter", "br0", "meter=7,pktps,burst,band=type=drop,rate=1000,burst_size=1000")
    ovs.ofctl("add-group", "br0", f"group_id=1,type=all,bucket=actions={MAC}5,output:2,bucket=output:3")
    ovs.ofctl("add-group", "br0", "group_id=2,type=all,bucket=resubmit(,8)")
    ovs.ofctl("add-group", "br0", "group_id=3,type=indirect,bucket=actions=set_field:7->reg0,resubmit(,8)")
    ovs.ofctl("add-flow", "br0", f"table=8,priority=1,ip actions={MAC}8,output:2")
    ovs.ofctl("add-flows", "br0", "-", stdin=flows)


def plan(peer: OpenFlowPeer) -> BridgePlan:
    groups = openflow.groups(peer.multipart(openflow.group_desc_request).body)
    meters = openflow.meters(peer.multipart(openflow.meter_config_request).body)
    tables = BridgeTables(peer.dpid, NOW, peer.flows(), groups, meters)
    return plan_bridge(BRIDGE, tables, (TASK,), SCENE, settings=SETTINGS, now=NOW)


def send(peer: OpenFlowPeer, before: BridgePlan | None, after: BridgePlan | None) -> None:
    steps = changes(before, after)
    for meter in steps.meters_set:
        peer.send(partial(openflow.meter_mod, meter))
    peer.modify(*steps.sinks_add, *steps.relays_add, *steps.sources_add)
    peer.modify(*steps.sources_delete, *steps.relays_delete, *steps.sinks_delete)
    for meter in steps.meters_delete:
        peer.send(partial(openflow.meter_mod, meter))
    peer.barrier()


def trace(ovs: OvsInstance, flow: str) -> list[str]:
    shown = ovs.appctl("ofproto/trace", "br0", flow)
    return [line.removeprefix("Datapath actions: ") for line in shown.splitlines() if line.startswith("Datapath act")]


def corpus() -> list[tuple[str, int]]:
    return [
        (f"in_port={port},{protocol},nw_src={source},nw_dst={destination},nw_ttl=64,nw_tos={tos}", tos)
        for port in (1, 3)
        for protocol in ("tcp,tcp_dst=80", "udp,udp_dst=53", "icmp,icmp_type=8")
        for source in ("10.0.1.1", "10.0.1.77")
        for destination in ("10.0.2.2", "10.0.3.3")
        for tos in (0, 184)
    ]


@pytest.mark.parametrize("flows", PIPELINES.values(), ids=PIPELINES)
def test_packets_leave_exactly_as_without_us(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer], flows: str) -> None:
    build(ovs, flows)
    connection = peer("br0")
    packets = corpus()
    learned = [trace(ovs, flow) for flow, _ in packets]
    before = [trace(ovs, flow) for flow, _ in packets]
    assert len(learned) == len(before)
    planned = plan(connection)
    send(connection, None, planned)
    copied = 0
    for (flow, tos), clean in zip(packets, before, strict=True):
        lines = trace(ovs, flow)
        copied += sum(map(copies, lines))
        assert [departures(line, tos) for line in lines] == [departures(line, tos) for line in clean], flow
    assert copied > 0


def test_pkt_mark_holds_the_state_when_every_register_is_taken(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    build(ovs, PIPELINES["every register"])
    connection = peer("br0")
    planned = plan(connection)
    assert planned.state.field is PKT_MARK
    send(connection, None, planned)
    connection.listen(CONTROLLER_ID)
    ovs.appctl(
        "netdev-dummy/receive",
        "p1",
        "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
        "ipv4(src=10.0.1.1,dst=10.0.2.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=80)",
    )
    readings = [read_log(connection.packet_in(), planned) for _ in range(3)]
    assert [reading and (reading.probe.loc, reading.slot) for reading in readings] == [
        (Loc.IN, 3),
        (Loc.OUT, 3),
        (Loc.OUT, 3),
    ]


def test_production_controllers_see_their_own_flows_cookie_and_reason(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    build(ovs, "cookie=0x77,priority=0 actions=controller:128")
    connection = peer("br0")
    send(connection, None, plan(connection))
    shown = ovs.appctl("ofproto/trace", "br0", corpus()[0][0])
    assert "rule_cookie=0x77,controller_id=0" in shown


def test_all_of_ours_goes_by_cookie_whatever_is_left(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> None:
    build(ovs, PIPELINES["groups"])
    connection = peer("br0")
    before = flows_of(ovs, "br0")
    send(connection, None, plan(connection))
    with pytest.raises(AssertionError):
        assert flows_of(ovs, "br0") == before
    everything = FlowMod(FlowModCommand.DELETE, 0xFF, 0, Match(), 0x5654 << 48, 0xFFFF << 48)
    connection.modify(everything)
    assert flows_of(ovs, "br0") == before


def test_a_production_flow_at_the_top_of_table_0_is_named(
    ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]
) -> None:
    build(ovs, "cookie=0xbad,priority=65535,ip actions=2")
    with pytest.raises(RefusedError, match="0xbad"):
        plan(peer("br0"))
