"""Holds whole walks against ``ofproto/trace``, which follows patch ports too: same flows, same end."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest
from openflow_peer import OpenFlowPeer

from vtrace_ovs.codecs import openflow
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.trajectory import DropShape, Ending, Trajectory
from vtrace_ovs.walker import Network, WalkSettings, WalkStart, walk

PORTS = {
    "sw1": (Port(1, "vm1", PortKind.EDGE, vm="vm1"), Port(2, "sw1-rt", PortKind.PATCH, peer="rt-sw1")),
    "rt": (Port(1, "rt-sw1", PortKind.PATCH, peer="sw1-rt"), Port(2, "rt-sw2", PortKind.PATCH, peer="sw2-rt")),
    "sw2": (Port(1, "vm2", PortKind.EDGE, vm="vm2"), Port(2, "sw2-rt", PortKind.PATCH, peer="rt-sw2")),
}
PIPELINES = {
    "sw1": """
        cookie=1,table=0,priority=9,in_port=1,ip \
            actions=set_field:7->reg3,set_field:8->metadata,resubmit(,5),goto_table:9
        cookie=2,table=0,priority=8,in_port=2 actions=output:1
        cookie=3,table=5,priority=9,tcp,tp_dst=22 actions=exit
        cookie=4,table=5,priority=5,ip actions=set_field:0x33->pkt_mark,write_actions(output:2)
        cookie=5,table=9,priority=5,ip,nw_dst=10.0.2.0/24,reg3=7 actions=set_field:02:00:00:00:00:fe->eth_dst
        cookie=6,table=9,priority=4,ip,nw_dst=10.0.3.0/24 actions=clear_actions
    """,
    "rt": """
        cookie=11,table=0,priority=9,reg3=7 actions=drop
        cookie=12,table=0,priority=8,metadata=8 actions=drop
        cookie=13,table=0,priority=7,pkt_mark=0x33,ip actions=dec_ttl,resubmit(,1)
        cookie=14,table=1,priority=9,ip,nw_dst=10.0.2.66 actions=IN_PORT
        cookie=15,table=1,priority=8,ip,nw_dst=10.0.2.0/24 actions=ct(table=2,zone=4)
        cookie=16,table=2,priority=8,ct_state=+new+trk,ip actions=output:2
    """,
    "sw2": """
        cookie=21,table=0,priority=9,ct_state=-trk,ip,in_port=2,dl_dst=02:00:00:00:00:fe actions=output:1
        cookie=22,table=0,priority=1 actions=drop
    """,
}
CASES = {
    "delivery across two patches": ("10.0.2.2", 443, 64, Ending.HANDED_TO_PORT, None),
    "exit before the action set": ("10.0.2.2", 22, 64, Ending.DROPPED, DropShape.NO_OUTPUT),
    "a cleared action set": ("10.0.3.2", 443, 64, Ending.DROPPED, DropShape.NO_OUTPUT),
    "a TTL that ends in the router": ("10.0.2.2", 443, 1, Ending.DROPPED, DropShape.TTL_EXCEEDED),
    "a route that is missing": ("10.0.9.9", 443, 64, Ending.DROPPED, DropShape.NO_MATCH),
    "a router that turns the packet round": ("10.0.2.66", 443, 64, Ending.HANDED_TO_PORT, None),
}


def identify(name: str) -> BridgeId:
    return BridgeId("s1", name)


@dataclass
class Overlay:
    ovs: OvsInstance
    network: Network

    def walk(self, destination: str, port: int, ttl: int) -> Trajectory:
        five_tuple = FiveTuple(6, IPv4Address("10.0.1.1"), IPv4Address(destination), 1000, port)
        headers = Headers(
            "00:00:00:00:00:01", "00:00:00:00:00:02", 0x0800, 118, None, five_tuple, 0, 0, ttl, tcp_flags=0
        )
        start = WalkStart(1, "p", 0, identify("sw1"), 1, headers)
        return walk(self.network, start, WalkSettings(assumed_ct_state=0x21))

    def trace(self, destination: str, port: int, ttl: int) -> str:
        return self.ovs.appctl(
            "ofproto/trace", "sw1", f"in_port=1,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,tcp,"
            f"nw_src=10.0.1.1,nw_dst={destination},nw_ttl={ttl},tcp_src=1000,tcp_dst={port}",
        )  # fmt: skip


@pytest.fixture
def overlay(ovs: OvsInstance, peer: Callable[[str], OpenFlowPeer]) -> Overlay:
    tables = {}
    for name, ports in PORTS.items():
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure")
        for port in ports:
            kind = "type=dummy" if port.kind is PortKind.EDGE else f"type=patch options:peer={port.peer}"
            request = ("set", "interface", port.name, *kind.split(), f"ofport_request={port.ofport}")
            ovs.vsctl("add-port", name, port.name, "--", *request)
    for name, text in PIPELINES.items():
        ovs.ofctl("add-flows", name, "-", stdin=text)
        connection = peer(name)
        described = openflow.ports(connection.multipart(openflow.port_desc_request).body)
        tables[identify(name)] = BridgeTables(connection.dpid, 0.0, connection.flows(), ports=described)
    bridges = tuple(
        Bridge(identify(name), 1, BridgeRole.VSWITCH, ports, ManagementSocket("")) for name, ports in PORTS.items()
    )
    return Overlay(ovs, Network.build(Topology((Node("s1", "", ()),), bridges), tables))


def cookies(trajectory: Trajectory) -> list[int | None]:
    return [step.cookie for hop in trajectory.hops for step in hop.steps]


def traced_cookies(text: str) -> list[int | None]:
    """Beyond the first bridge, trace prints a miss as OVS's own flow "reg0=0x2, priority 0", which has no cookie."""
    searches = re.findall(r"^ *\d+\. (.*)$", text, re.MULTILINE)
    return [int(line.rpartition("cookie ")[2], 16) if "cookie" in line else None for line in searches]


@pytest.mark.parametrize("name", CASES)
def test_open_vswitch_and_a_walk_agree_on(overlay: Overlay, name: str) -> None:
    destination, port, ttl, ending, drop = CASES[name]
    way = overlay.walk(destination, port, ttl)
    text = overlay.trace(destination, port, ttl)
    assert cookies(way) == traced_cookies(text), text
    assert way.last is not None
    assert (way.ending, way.last.drop) == (ending, drop)
    last_actions = re.findall(r"^Datapath actions: (.*)$", text, re.MULTILINE)[-1]
    leaves = re.search(r"(?:^|,)\d+$", last_actions) is not None
    assert leaves == (ending is Ending.HANDED_TO_PORT)
