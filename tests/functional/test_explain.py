"""``vtrace explain`` on a real Open vSwitch: it predicts, Open vSwitch's own trace agrees, and nothing changes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtrace_ovs.cli.app import run
from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.fingerprint import difference, fingerprint
from vtrace_ovs.ovsdb.ofproto_trace import ofproto_trace

PIPELINES = {
    "sw": """
        cookie=1,table=0,priority=9,in_port=1,ip actions=set_field:7->reg3,resubmit(,5),goto_table:9
        cookie=2,table=0,priority=8,in_port=2 actions=output:1
        table=5,priority=9,tcp,tp_dst=22 actions=exit
        table=5,priority=5,ip actions=set_field:0x33->pkt_mark
        cookie=5,table=9,priority=5,ip,nw_dst=10.0.2.0/24 actions=set_field:02:00:00:00:00:fe->eth_dst,output:2
        cookie=6,table=9,priority=5,ip,nw_dst=10.0.3.0/24 actions=output:2,output:3
        cookie=7,table=9,priority=5,ip,nw_dst=10.0.4.0/24 actions=ct(table=10)
        cookie=8,table=10,ct_state=+trk+new,ip actions=drop
        cookie=9,table=10,ct_state=+trk+est,ip actions=output:3
        cookie=10,table=9,priority=5,ip,nw_dst=10.0.5.0/24 actions=group:1
        cookie=11,table=9,priority=5,ip,nw_dst=10.0.6.0/24 actions=output:2,resubmit(,20),output:3
        cookie=12,table=20,priority=1 actions=note:01
    """,
    "rt": """
        cookie=13,table=0,priority=7,pkt_mark=0x33,ip actions=dec_ttl,resubmit(,1)
        cookie=14,table=1,priority=9,ip,nw_dst=10.0.2.66 actions=IN_PORT
        cookie=15,table=1,priority=8,ip,nw_dst=10.0.2.2 actions=output:2
        cookie=16,table=1,priority=8,ip,nw_dst=10.0.3.0/24 actions=drop
        cookie=17,table=1,priority=8,ip,nw_dst=10.0.6.0/24 actions=output:2
    """,
}
PORTS = {"sw": ("vm1", "sw-rt", "vm3"), "rt": ("rt-sw", "out")}
PEERS = {"sw-rt": "rt-sw", "rt-sw": "sw-rt"}
TIMEOUT = 60.0
MACS = "dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02"
ALWAYS = {"recirc_id", "eth", "ip", "tcp", "nw_frag", "dl_type"}
"""What a megaflow of IP has anyway."""
CASES = {
    "delivery across a patch port": ("10.0.2.2", 443, (), 0, "DELIVERED"),
    "a packet that is turned round": ("10.0.2.66", 443, (), 0, "DELIVERED"),
    "no flow in the second bridge": ("10.0.2.9", 443, (), 1, "DROPPED"),
    "no flow in the first bridge": ("10.9.9.9", 443, (), 1, "DROPPED"),
    "exit without an output": ("10.0.2.2", 22, (), 1, "DROPPED"),
    "two branches, one dropped": ("10.0.3.1", 443, (), 0, "DELIVERED"),
    "lookups between outputs": ("10.0.6.1", 443, (), 0, "DELIVERED"),
    "a new connection": ("10.0.4.1", 443, ("--ct", "trk,new"), 1, "DROPPED"),
    "an established connection": ("10.0.4.1", 443, ("--ct", "+trk+est"), 0, "DELIVERED"),
    "a connection nobody knows": ("10.0.4.1", 443, (), 3, "INCONCLUSIVE"),
    "a TTL that ends": ("10.0.2.2", 443, ("ttl",), 1, "DROPPED"),
}

Explain = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def bridges(ovs: OvsInstance) -> OvsInstance:
    ovs.vsctl("set", "open_vswitch", ".", "external_ids:hostname=s1")
    for name, ports in PORTS.items():
        role = "external_ids:vtrace-role=vswitch"
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure", role)
        for ofport, port in enumerate(ports, 1):
            peer = PEERS.get(port)
            kind = ["type=dummy"] if peer is None else ["type=patch", f"options:peer={peer}"]
            ovs.vsctl("add-port", name, port, "--", "set", "interface", port, *kind, f"ofport_request={ofport}")
    ovs.ofctl("add-group", "sw", "group_id=1,type=ff,bucket=watch_port:77,output:3")
    for name, text in PIPELINES.items():
        ovs.ofctl("add-flows", name, "-", stdin=text)
    return ovs


@pytest.fixture
def explain(bridges: OvsInstance, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Run the command line in this process: exit code and document."""

    def invoke(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = run(["explain", *arguments, "--ovsdb", bridges.ovsdb, "-o", "json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {"stderr": captured.err}

    return invoke


@pytest.mark.parametrize("name", CASES)
def test_open_vswitch_agrees_on(bridges: OvsInstance, explain: Explain, name: str) -> None:
    destination, port, more, code, disposition = CASES[name]
    before = [fingerprint(bridges.directory, bridge, 5.0) for bridge in PORTS]
    packet = f"tcp,nw_src=10.0.1.1,nw_dst={destination},tp_src=1000,tp_dst={port},{MACS}"
    packet += ",nw_ttl=1" if more == ("ttl",) else ""
    options = () if more == ("ttl",) else more
    found, document = explain(packet, "--at", "s1/sw:vm1", "--against-ovs", *options)
    assert [one["agrees"] for one in document["against_ovs"]] == [True], document["against_ovs"]
    fields = megaflow_fields(document["against_ovs"])
    assert disposition == "INCONCLUSIVE" or fields <= looked_at(document["examined"]) | ALWAYS
    assert (found, document["verdict"]["disposition"]) == (code, disposition)
    after = [fingerprint(bridges.directory, bridge, 5.0) for bridge in PORTS]
    assert [difference(*pair) for pair in zip(before, after, strict=True)] == [(), ()]


def megaflow_fields(traces: list[dict[str, Any]]) -> set[str]:
    """The fields Open vSwitch's own megaflow matches on, all bridges of a server together."""
    return {word.partition("=")[0] for one in traces for word in re.split(r",(?![^(]*\))", one["megaflow"])}


def looked_at(examined: list[dict[str, str]]) -> set[str]:
    """The fields the walk's lookups looked at; protocol words stand for ``dl_type`` and ``nw_proto``."""
    return {word.partition("=")[0] for one in examined for word in one["match"].split(",")}


def test_a_flow_the_walk_leaves_out_is_where_they_part(bridges: OvsInstance, explain: Explain) -> None:
    bridges.ofctl("add-flow", "rt", "cookie=0x5654000000000001,table=1,priority=99,tcp,actions=drop")
    place = "s1/sw:1"
    code, document = explain(f"tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443,{MACS}", "--at", place, "--against-ovs")
    (one,) = document["against_ovs"]
    assert (code, one["agrees"], one["table_id"]) == (3, False, 1)
    assert one["bridge"].endswith("/rt")
    assert "the walker says table=1, cookie=0xf" in one["sentence"]
    assert "Open vSwitch says tcp, priority 99, cookie 0x5654000000000001" in one["sentence"]
    assert any("A trace is running" in note for note in document["notes"])


def test_a_datapath_that_does_not_do_what_both_say_is_told(bridges: OvsInstance, explain: Explain) -> None:
    asked = (f"tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443,{MACS}", "--at", "s1/sw:1", "--against-ovs")
    assert explain(*asked)[1]["against_ovs"][0]["datapath"] == "the datapath has no flow for it now"
    frame = (
        "in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x0800),"
        "ipv4(src=10.0.1.1,dst=10.0.2.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=9,dst=443),tcp_flags(ack)"
    )
    for _ in range(2):
        bridges.appctl("netdev-dummy/receive", "vm1", frame)
    code, document = explain(*asked)
    assert (code, document["against_ovs"][0]["follows"]) == (0, True)
    (line,) = [one for one in bridges.appctl("dpctl/dump-flows", "-m").splitlines() if "10.0.2.2" in one]
    bridges.appctl("dpctl/mod-flow", line.partition(", ")[2].partition(", packets:")[0], "drop")
    code, document = explain(*asked)
    (one,) = document["against_ovs"]
    assert (code, one["agrees"], one["follows"]) == (3, True, False)
    assert "does drop, and leaves out port" in one["datapath"]


def test_a_group_without_a_live_bucket_is_named(explain: Explain) -> None:
    place = "s1/sw:1"
    code, document = explain(f"tcp,nw_src=10.0.1.1,nw_dst=10.0.5.1,tp_dst=443,{MACS}", "--at", place, "--against-ovs")
    assert (code, document["verdict"]["drop"]) == (1, "no live bucket")
    assert document["against_ovs"][0]["agrees"]


def test_a_dump_of_the_bridge_gives_the_same_way(bridges: OvsInstance, explain: Explain, tmp_path: Path) -> None:
    packet = f"tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443,{MACS}"
    _, live = explain(packet, "--at", "s1/sw:vm1")
    files: list[str] = []
    for command in ("dump-flows", "dump-groups", "show"):
        file = tmp_path / f"{command}.txt"
        file.write_text(bridges.run("ovs-ofctl", "-O", "OpenFlow13", "--names", command, "sw"))
        files += ["--dump", str(file)]
    code, dumped = explain(packet, *files, "--in-port", "vm1")
    steps = [path["groups"][0]["path"]["hops"][0]["steps"] for path in (live, dumped)]
    assert steps[0] == steps[1]
    assert (code, dumped["groups"][0]["path"]["hops"][0]["bridge"]) == (0, "dump/sw")


def test_a_dead_vswitchd_leaves_the_way_open(bridges: OvsInstance, explain: Explain) -> None:
    place = "s1/sw:1"
    bridges.kill("ovs-vswitchd")
    code, document = explain(f"tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2,tp_dst=443,{MACS}", "--at", place, "--against-ovs")
    assert (code, document["verdict"]["disposition"]) == (3, "INCONCLUSIVE")
    assert "the tables of" in document["verdict"]["operator_sentence"]
    assert document["against_ovs"][0]["agrees"] is None


def test_a_port_that_is_not_there_is_a_usage_error(explain: Explain) -> None:
    code, told = explain("tcp,nw_src=10.0.1.1,nw_dst=10.0.2.2", "--at", "s1/sw:vm9")
    assert code == 2
    assert "it has 1 (vm1), 2 (sw-rt), 3 (vm3)" in told["stderr"]


def test_a_control_socket_of_any_name_answers(bridges: OvsInstance) -> None:
    flow = "in_port=1,dl_type=0x0800,nw_dst=10.9.9.9"
    answer = ofproto_trace(bridges.directory, "sw", flow, TIMEOUT)
    assert "Datapath actions: drop" in answer
    usual = bridges.directory / f"ovs-vswitchd.{bridges.pids['ovs-vswitchd']}.ctl"
    (bridges.directory / "ovs-vswitchd.ctl").rename(usual)
    (bridges.directory / "ovs-vswitchd.1.ctl").touch()
    assert ofproto_trace(bridges.directory, "sw", flow, TIMEOUT) == answer
    usual.rename(bridges.directory / "ovs-vswitchd.ctl")


def test_what_open_vswitch_refuses_is_said_in_one_line(bridges: OvsInstance, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="br9"):
        ofproto_trace(bridges.directory, "br9", "in_port=1", TIMEOUT)
    with pytest.raises(InfrastructureError, match="ofproto/trace sw in_port=zz"):
        ofproto_trace(bridges.directory, "sw", "in_port=zz", TIMEOUT)
    with pytest.raises(InfrastructureError, match="no control socket"):
        ofproto_trace(tmp_path / "nowhere", "sw", "in_port=1", TIMEOUT)


@pytest.mark.parametrize(("limit", "table"), [("1", 2), ("2", 1)])
def test_open_vswitch_looks_behind_as_many_tags_as_it_is_told_to(
    bridges: OvsInstance, explain: Explain, limit: str, table: int
) -> None:
    bridges.vsctl("set", "open_vswitch", ".", f"other_config:vlan-limit={limit}")
    bridges.ofctl("add-flow", "sw", "table=0,priority=99,dl_vlan=5,tcp,actions=resubmit(,1)")
    bridges.ofctl("add-flow", "sw", "table=0,priority=98,dl_vlan=5,dl_type=0x8100,actions=resubmit(,2)")
    packet = "45000028000700004006000" + "00a0001010a000202" + "00010002000000000000000050020400" + "00000000"
    frame = f"000000000002000000000001{81000005:08}{81000006:08}0800{packet}"
    _, document = explain("--hex", frame, "--at", "s1/sw:vm3")
    steps = document["groups"][0]["path"]["hops"][0]["steps"]
    assert [step["table_id"] for step in steps] == [0, table]
    trace = bridges.appctl("ofproto/trace", "sw", "in_port=3", frame)
    assert f"resubmit(,{table})" in trace
