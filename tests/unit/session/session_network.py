"""The network a session runs on, as values: three VFDs, what production has on them, and one connection's traffic.

cs1/br has VM ``web`` (port 1), cs2/br has VM ``db`` (port 1); both have a tunnel (port 2). gw/br is a third VFD, where
cs1/br sends what has a TTL of 7: no test does.
"""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from vtrace_ovs.model.actions import Action, ApplyActions, Instruction, Output, SetField
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IP_PROTO, IPV4_DST, TUN_DST, TUN_ID, Field, field
from vtrace_ovs.model.packet import FiveTuple, Headers, IPAddress
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

WEB, DB = IPv4Address("10.0.1.1"), IPv4Address("10.0.1.2")
CS1, CS2, GW = BridgeId("cs1", "br"), BridgeId("cs2", "br"), BridgeId("gw", "br")
VTEPS = {CS1: IPv4Address("192.0.2.1"), CS2: IPv4Address("192.0.2.2"), GW: IPv4Address("192.0.2.3")}
DPIDS = {CS1: 1, CS2: 2, GW: 3}
VNI = 5001
VM_PORT, TUNNEL_PORT = 1, 2
SSH = 22


def exactly(entry: Field, value: int) -> MaskedField:
    return MaskedField(entry, value, entry.full_mask)


def set_field(entry: Field, value: int) -> SetField:
    return SetField(entry, value, entry.full_mask)


def flow(priority: int, match: Match, *actions: Action, cookie: int = 0) -> Flow:
    instructions: tuple[Instruction, ...] = (ApplyActions(actions),) if actions else ()
    return Flow(0, priority, match, instructions, cookie)


def toward(address: IPv4Address) -> Match:
    return Match.of(exactly(ETH_TYPE, 0x0800), exactly(IPV4_DST, int(address)))


def ssh() -> Match:
    return Match.of(exactly(ETH_TYPE, 0x0800), exactly(IP_PROTO, 6), exactly(field("tcp_dst"), SSH))


def through_the_tunnel(address: IPv4Address, vtep: IPAddress) -> Flow:
    return flow(10, toward(address), set_field(TUN_ID, VNI), set_field(TUN_DST, int(vtep)), Output(TUNNEL_PORT))


def production(bridge: BridgeId) -> tuple[Flow, ...]:
    miss = flow(0, Match())
    if bridge == CS1:
        deny = flow(100, ssh(), cookie=0x22)
        elsewhere = replace(through_the_tunnel(DB, VTEPS[GW]), priority=20, match=Match.of(exactly(field("nw_ttl"), 7)))
        return (deny, through_the_tunnel(DB, VTEPS[CS2]), flow(10, toward(WEB), Output(VM_PORT)), elsewhere, miss)
    if bridge == CS2:
        return (through_the_tunnel(WEB, VTEPS[CS1]), flow(10, toward(DB), Output(VM_PORT)), miss)
    return (miss,)


def topology(*bridges: BridgeId) -> Topology:
    vms = {CS1: ("web", WEB), CS2: ("db", DB)}
    found = []
    for bridge in bridges:
        edge: tuple[Port, ...] = ()
        if bridge in vms:
            name, address = vms[bridge]
            edge = (Port(VM_PORT, name, PortKind.EDGE, name, (address,), tenant="blue", vni=VNI),)
        ports = (*edge, Port(TUNNEL_PORT, "vx", PortKind.TUNNEL))
        socket = ManagementSocket(f"{bridge}.mgmt")
        found.append(Bridge(bridge, DPIDS[bridge], BridgeRole.VSWITCH, ports, socket, datapath_type="netdev"))
    nodes = tuple(Node(bridge.node, f"unix:{bridge.node}.sock", (VTEPS[bridge],)) for bridge in bridges)
    return Topology(nodes, tuple(found))


def tcp_to_db(port: int = 443, packet_count: int = 1, trace_time: int = 30) -> TraceRequest:
    wanted = Filter(
        f"tcp,nw_src={WEB},nw_dst={DB},tp_dst={port}",
        protocol=6,
        source=IPv4Network(WEB),
        destination=IPv4Network(DB),
        destination_port=port,
    )
    return TraceRequest(wanted, Scope(source_vm="web"), packet_count, trace_time)


def headers(ip_id: int = 7, port: int = 443, dscp: int = 0) -> Headers:
    return Headers(
        eth_src="02:00:00:00:00:01",
        eth_dst="02:00:00:00:00:02",
        eth_type=0x0800,
        length=74,
        five_tuple=FiveTuple(6, WEB, DB, 40000, port),
        dscp=dscp,
        ecn=0,
        ttl=64,
        ip_id=ip_id,
        tcp_seq=1,
        tcp_ack=0,
        tcp_flags=2,
        payload=b"hello",
    )
