"""``vtrace explain`` through bridges that use NORMAL and FLOOD: MAC tables, VLANs and ``no-flood`` of a real OVS."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from time import monotonic
from typing import Any

import pytest

from vtrace_ovs.cli.app import run
from vtrace_ovs.controller.flood_ports import read_no_flood_ports
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow, PortDescription
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.ovsdb.mac_table import read_mac_table
from vtrace_ovs.ovsdb.unixctl import control_socket
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import VLAN_PRESENT

TIMEOUT = 60.0
SETTINGS = {
    1: (),
    2: (),
    3: ("tag=5",),
    4: ("tag=5",),
    5: ("trunks=5,6",),
    6: ("tag=6", "vlan_mode=native-untagged"),
    7: ("tag=6", "vlan_mode=native-tagged", "trunks=5"),
}
LEARNED_AT = ((1, None), (3, None), (6, None), (7, 5))
LOCAL_IN_DATAPATH = 100
DESTINATIONS = (*(0x20 + port for port, _ in LEARNED_AT), 0x99, 0xFFFFFFFFFFFF, 0x0180C2000001)
VLANS = (None, 0, 0x6000, 5, 6, 7)
Explain = Callable[..., dict[str, Any]]
Copies = set[tuple[int, tuple[int, ...]]]


def mac(number: int) -> str:
    return number.to_bytes(6).hex(":")


@pytest.fixture
def switch(ovs: OvsInstance) -> OvsInstance:
    """A bridge that does nothing but NORMAL, after a packet from some of its ports; port 2 takes no floods."""
    ovs.vsctl("set", "open_vswitch", ".", "external_ids:hostname=s1", "other_config:vlan-limit=2")
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "external_ids:vtrace-role=vswitch")
    for port, columns in SETTINGS.items():
        kind = ["set", "interface", f"p{port}", "type=dummy", f"ofport_request={port}"]
        ovs.vsctl("add-port", "br0", f"p{port}", *columns, "--", *kind)
    ovs.run("ovs-ofctl", "-O", "OpenFlow10", "mod-port", f"unix:{ovs.management_socket('br0')}", "p2", "no-flood")
    for port, vlan in LEARNED_AT:
        tag = "" if vlan is None else f"8100{vlan:04x}"
        frame = f"{0x99:012x}{0x20 + port:012x}{tag}1234"
        ovs.appctl("netdev-dummy/receive", f"p{port}", frame.ljust(120, "0"))
    deadline = monotonic() + TIMEOUT
    while len(read_mac_table("br0", ovs.ovsdb, ovs.directory, TIMEOUT).entries) < len(LEARNED_AT):
        assert monotonic() < deadline, ovs.appctl("fdb/show", "br0")
    return ovs


@pytest.fixture
def explain(switch: OvsInstance, capsys: pytest.CaptureFixture[str]) -> Explain:
    def invoke(*arguments: str) -> dict[str, Any]:
        run(["explain", *arguments, "--ovsdb", switch.ovsdb, "-o", "json"])
        captured = capsys.readouterr()
        assert captured.out, captured.err
        document: dict[str, Any] = json.loads(captured.out)
        return document

    return invoke


def ours(view: BridgeView, port: int, tci: int | None, destination: int) -> Copies:
    headers = Headers(mac(1), mac(destination), 0x1234, 60, tci)
    visit = evaluate(view, packed_state(headers, port, None), 60, None)
    assert all(stop.shape is not None for stop in visit.stops), visit.stops
    return {
        (each.port, tuple(tag & ~VLAN_PRESENT for tag in (layout.read(each.state.packed, "vlan_tci"),) if tag))
        for each in visit.emissions
    }


def theirs(text: str, tci: int | None) -> Copies:
    """The ports in datapath actions, each with the tags the packet has there."""
    (actions,) = re.findall(r"^Datapath actions: (.*)$", text, re.MULTILINE)
    tags = [] if tci is None else [tci]
    copies: Copies = set()
    for name, vlan, priority in re.findall(r"(push_vlan|pop_vlan|\d+)(?:\(vid=(\d+),pcp=(\d+)\))?", actions):
        if name == "push_vlan":
            tags.append(int(priority) << 13 | int(vlan))
        elif name == "pop_vlan":
            tags.pop()
        else:
            port = act.OFPP_LOCAL if int(name) == LOCAL_IN_DATAPATH else int(name)
            copies.add((port, tuple(tags)))
    return copies


@pytest.mark.parametrize("port", [act.OFPP_NORMAL, act.OFPP_FLOOD, act.OFPP_ALL])
def test_every_packet_leaves_by_the_ports_and_with_the_tags_open_vswitch_says(switch: OvsInstance, port: int) -> None:
    names = {act.OFPP_NORMAL: "NORMAL", act.OFPP_FLOOD: "FLOOD", act.OFPP_ALL: "ALL"}
    switch.ofctl("add-flow", "br0", f"actions={names[port]}")
    table = read_mac_table("br0", switch.ovsdb, switch.directory, TIMEOUT)
    table = replace(table, no_flood=read_no_flood_ports(str(switch.management_socket("br0")), TIMEOUT))
    assert table.no_flood == frozenset({2})
    ports = tuple(PortDescription(number, "", "", link_down=False, admin_down=False) for number in SETTINGS)
    everything = Flow(0, 32768, Match(), (act.ApplyActions((act.Output(port),)),))
    view = BridgeView(BridgeTables(1, 0.0, (everything,), ports=ports), mac_table=table)
    cases = list(product(SETTINGS, VLANS, DESTINATIONS))
    with control_socket(switch.directory, TIMEOUT) as control:
        answers = control.run(*(("ofproto/trace", "br0", trace_text(*case)) for case in cases))
    for case, answer in zip(cases, answers, strict=True):
        assert ours(view, *case) == theirs(answer, case[1]), f"{case}\n{answer}"


def trace_text(port: int, tci: int | None, destination: int) -> str:
    tag = "" if tci is None else f"vlan_tci={tci | VLAN_PRESENT:#x},"
    return f"in_port={port},{tag}dl_src={mac(1)},dl_dst={mac(destination)},dl_type=0x1234"


def test_a_learned_address_is_explained_and_open_vswitch_agrees(explain: Explain) -> None:
    document = explain(f"tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,dl_src={mac(1)},dl_dst={mac(0x21)}", "--at", "s1/br0:p2")
    assert [hop["out_port"] for hop in document["groups"][0]["path"]["hops"]] == [1]
    packet = f"tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,dl_src={mac(1)},dl_dst={mac(0x21)}"
    document = explain(packet, "--at", "s1/br0:p2", "--against-ovs")
    assert (document["verdict"]["disposition"], document["against_ovs"][0]["agrees"]) == ("DELIVERED", True)


def test_a_flood_is_a_tree_of_copies_without_the_port_that_takes_none(explain: Explain) -> None:
    packet = f"tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,dl_src={mac(1)},dl_dst={mac(0x99)}"
    document = explain(packet, "--at", "s1/br0:p7", "--against-ovs")
    assert document["against_ovs"][0]["agrees"] is True
    assert {hop["out_port"] for hop in document["groups"][0]["path"]["hops"]} == {1, 5, 6, act.OFPP_LOCAL}


def test_a_bridge_with_a_bond_is_not_guessed_at(switch: OvsInstance, explain: Explain) -> None:
    members = [word for name in ("b1", "b2") for word in ("--", "set", "interface", name, "type=dummy")]
    switch.vsctl("add-bond", "br0", "bond0", "b1", "b2", *members)
    packet = f"tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,dl_src={mac(1)},dl_dst={mac(0x21)}"
    verdict = explain(packet, "--at", "s1/br0:p2")["verdict"]
    assert verdict["disposition"] == "INCONCLUSIVE"
    assert "because bond0 is a bond" in verdict["operator_sentence"]


def test_a_bridge_without_openflow_1_0_does_not_tell_who_takes_no_floods(switch: OvsInstance) -> None:
    switch.vsctl("set", "bridge", "br0", "protocols=OpenFlow13")
    assert read_no_flood_ports(str(switch.management_socket("br0")), TIMEOUT) is None
