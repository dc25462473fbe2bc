from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from vtrace_ovs.cli.known_tables import Known, dumped_tables, stored_tables
from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.errors import CodecError, UsageError
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Topology
from vtrace_ovs.storage.store import Store

BRIDGE = BridgeId("s1", "br")
TABLES = BridgeTables(1, 100.0, (Flow(0, 1, Match(), ()),))
RECORD = PacketInRecord(
    1, 1, BRIDGE, IPv4Address("192.0.2.1"), Loc.IN, "p", None, Headers("", "", 0x0800, 60), 1, 3, 150.0
)
OURS = 0x5654 << 48


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "vtrace.db") as opened:
        opened.add_task(trace_request("tcp"), 1.0)
        opened.save_vfds([Bridge(BRIDGE, 1, BridgeRole.VSWITCH, (), ManagementSocket(""), profile="no such profile")])
        yield opened


def known(store: Store, at: float | None, tmp_path: Path) -> Known:
    nowhere = f"unix:{tmp_path}/db.sock"
    settings = Settings((nowhere,), ovsdb_given=True, database="", rundir=tmp_path, colours=False)
    return stored_tables(store, 1, at, settings, (nowhere,))


def test_a_task_is_walked_on_the_tables_of_the_moment(store: Store, tmp_path: Path) -> None:
    for read_at in (100.0, 200.0, 300.0):
        store.save_snapshot(1, BRIDGE, replace(TABLES, read_at=read_at))
    moments = {None: 300.0, 50.0: 100.0, 150.0: 100.0, 250.0: 200.0, 900.0: 300.0}
    assert {at: known(store, at, tmp_path).tables[BRIDGE].read_at for at in moments} == moments


def test_without_an_inventory_the_records_name_the_tunnel_endpoints(store: Store, tmp_path: Path) -> None:
    store.save_snapshot(1, BRIDGE, TABLES)
    store.save_records([RECORD, replace(RECORD, sequence=2, bridge=BridgeId("s2", "br"), node_ip=None)])
    found = known(store, None, tmp_path)
    assert [(node.name, node.vteps) for node in found.topology.nodes] == [("s1", (IPv4Address("192.0.2.1"),))]
    assert "those the task's records name" in found.problems[0]
    assert [bridge.id for bridge in found.topology.bridges] == [BRIDGE]
    assert found.profiles == {}


def test_a_task_that_read_no_bridge_cannot_be_walked(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it read no bridge"):
        known(store, None, tmp_path)


def test_flows_of_a_running_trace_are_left_out_of_the_walk() -> None:
    tables = replace(TABLES, flows=(*TABLES.flows, Flow(0, 2, Match(), (), cookie=OURS)))
    found = Known(Topology(), {BRIDGE: tables})
    assert found.carries_ours()
    assert not Known(Topology(), {BRIDGE: TABLES}).carries_ours()
    assert found.network().views[BRIDGE].indexes[0].search(0, 0).entry is not None


def test_a_dump_is_one_bridge_named_by_its_local_port(tmp_path: Path) -> None:
    flows, show = tmp_path / "flows.txt", tmp_path / "show.txt"
    flows.write_text(" priority=1 actions=drop\n")
    show.write_text(" 1(p1): addr:aa:55:aa:55:00:03\n LOCAL(br7): addr:aa:55:aa:55:00:04")
    found = dumped_tables([flows, show])
    (bridge,) = found.topology.bridges
    assert (str(bridge.id), [port.name for port in bridge.ports]) == ("dump/br7", ["p1", "br7"])
    assert found.problems == (f"{show} ends within a line: it may be cut off",)
    assert str(dumped_tables([flows]).topology.bridges[0].id) == "dump/flows"


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        dumped_tables([tmp_path / "none"])
    with pytest.raises(UsageError, match="Is a directory"):
        dumped_tables([tmp_path])
    binary = tmp_path / "x.pcap"
    binary.write_bytes(b"ab\xd4\xc3\xb2\xa1")
    with pytest.raises(CodecError, match="no text at byte 2"):
        dumped_tables([binary])
