"""What a hash chose and ``nat`` wrote in a real datapath is in the records of a task, and walks follow them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_overlay import DEADLINE, PRODUCTION, Overlay
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.storage.store import Store

HASHED, ADDRESS, PORT = "10.0.1.1", "10.0.1.2", "10.0.1.3"
SAID = {HASHED: "group 1: observed bucket", ADDRESS: "what nat wrote is as observed", PORT: "what nat wrote"}
PACKETS = 18
SW1 = f"""\
priority=10,ip,nw_dst={HASHED} actions=group:1
priority=10,ip,nw_dst={ADDRESS} actions=ct(commit,zone=9,table=8,nat(dst=10.0.0.2-10.0.0.3))
priority=10,ip,nw_dst={PORT} actions=ct(commit,zone=9,table=9,nat(src=192.0.2.1:5000-5015))
table=6,ip actions=set_field:10.0.0.2->ip_dst,output:2
table=7,ip actions=output:3
table=8,priority=5,ip,nw_dst=10.0.0.2 actions=output:2
table=8,priority=5,ip,nw_dst=10.0.0.3 actions=output:3
table=9,priority=5,udp,tp_src=0x1388/0xfff8 actions=output:2
table=9,priority=5,udp,tp_src=0x1390/0xfff8 actions=output:3
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path, production={**PRODUCTION, "sw1": "priority=0 actions=drop"})


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        instance.vsctl("add-port", "sw1", "vm3", "--", "set", "interface", "vm3", "type=dummy", "ofport_request=3")
        instance.ofctl("add-group", "sw1", "group_id=1,type=select,bucket=resubmit(,6),bucket=resubmit(,7)")
        instance.ofctl("add-flows", "sw1", "-", stdin=SW1)
        yield instance


def traced(overlay: Overlay, ovs: OvsInstance) -> list[PacketInRecord]:
    """The records of as many connections, one packet each, to all destinations in turn."""
    task = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", str(PACKETS), "-t", "15")
    with overlay.background(*task, VTRACE_OVSDB=ovs.ovsdb) as process:
        overlay.wait_for(TaskState.ARMED, process)
        for number in range(1, PACKETS + 1):
            link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            destination = list(SAID)[number % len(SAID)]
            packet = link / IP(src="10.0.0.1", dst=destination, id=number) / UDP(sport=4000 + number, dport=53)
            ovs.appctl("netdev-dummy/receive", "vm1", bytes(packet / f"packet {number}".encode()).hex())
        process.communicate(timeout=2 * DEADLINE)
    with Store.open(str(overlay.directory / "vtrace.db")) as store:
        return list(store.records(1))


def explained(overlay: Overlay, ovs: OvsInstance, entry: PacketInRecord) -> Any:  # noqa: ANN401 - a JSON document
    record = str(entry.sequence)
    told = overlay.vtrace("explain", "--task", "1", "--record", record, "-o", "json", VTRACE_OVSDB=ovs.ovsdb)
    assert told.stdout, told.stderr
    (group,) = json.loads(told.stdout)["groups"]
    return group["path"]["hops"][0]


def to(record: PacketInRecord) -> str:
    return "" if record.headers.five_tuple is None else str(record.headers.five_tuple.destination)


def test_a_walk_from_a_record_takes_the_way_its_packet_was_seen_to_take(overlay: Overlay, ovs: OvsInstance) -> None:
    records = traced(overlay, ovs)
    left_by = {one.packet_id: one for one in records if one.loc is Loc.OUT and one.dscp_mark == 1}
    entries = [one for one in records if one.loc is Loc.IN and one.dscp_mark == 1]
    assert len(entries) == PACKETS
    chosen = {(to(one), left_by[one.packet_id].out_port): one for one in entries}
    assert {port for _, port in chosen} == {2, 3}
    for (destination, port), entry in chosen.items():
        hop = explained(overlay, ovs, entry)
        assert (hop["out_port"], SAID[destination] in hop["note"]) == (port, True), hop
