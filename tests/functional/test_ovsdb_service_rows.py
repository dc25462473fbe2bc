import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.client import OvsdbClient
from vtrace_ovs.ovsdb.service_rows import add_service_controllers, remove_service_controllers

TIMEOUT = 60.0
TARGET = "tcp:127.0.0.1:1"


@pytest.fixture
def client(ovs: OvsInstance) -> Iterator[OvsdbClient]:
    for bridge in ("br0", "br1"):
        ovs.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=dummy")
    with OvsdbClient(ovs.ovsdb, TIMEOUT) as connected:
        yield connected


def rows(ovs: OvsInstance) -> list[str]:
    return ovs.vsctl("--no-headings", "--columns=target,external_ids", "--format=csv", "list", "controller").split()


def test_one_transaction_serves_several_bridges(ovs: OvsInstance, client: OvsdbClient) -> None:
    add_service_controllers(client, ["br0", "br1", "br0"], TARGET)
    assert ovs.vsctl("get-controller", "br0").split() == [TARGET]
    assert ovs.vsctl("get-controller", "br1").split() == [TARGET]
    assert remove_service_controllers(client) == ("br0", "br1")
    assert rows(ovs) == []


def test_adding_twice_leaves_one_row(ovs: OvsInstance, client: OvsdbClient) -> None:
    add_service_controllers(client, ["br0"], TARGET)
    add_service_controllers(client, ["br0"], TARGET)
    assert len(rows(ovs)) == 1


def test_only_rows_of_the_owner_are_removed(ovs: OvsInstance, client: OvsdbClient) -> None:
    ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:2")
    add_service_controllers(client, ["br0"], TARGET, owner="somebody")
    add_service_controllers(client, ["br0"], "tcp:127.0.0.1:3")
    assert remove_service_controllers(client) == ("br0",)
    assert sorted(ovs.vsctl("get-controller", "br0").split()) == [TARGET, "tcp:127.0.0.1:2"]
    assert remove_service_controllers(client) == ()


def test_a_missing_bridge_changes_nothing_on_the_others(ovs: OvsInstance, client: OvsdbClient) -> None:
    with pytest.raises(OvsdbError, match=r"no bridge 'br9' \(bridges there: br0, br1\); read the inventory again"):
        add_service_controllers(client, ["br0", "br9"], TARGET)
    assert rows(ovs) == []


def test_a_bridge_that_excludes_openflow_13_is_named_with_the_remedy(ovs: OvsInstance, client: OvsdbClient) -> None:
    ovs.vsctl("set", "bridge", "br1", "protocols=OpenFlow10")
    with pytest.raises(OvsdbError, match=r"br1 speaks only OpenFlow10.*ovs-vsctl add bridge br1 protocols OpenFlow13"):
        add_service_controllers(client, ["br0", "br1"], TARGET)
    assert rows(ovs) == []


def test_a_target_the_bridge_cannot_dial_is_refused(client: OvsdbClient) -> None:
    with pytest.raises(OvsdbError, match="listen on tcp:IP:PORT"):
        add_service_controllers(client, ["br0"], "ptcp:6653")


def test_a_read_only_server_refuses_with_a_remedy(ovs: OvsInstance, client: OvsdbClient) -> None:
    """A backup server serves reads only (ovsdb-server(1), active-backup)."""
    assert client
    place = ovs.directory / "backup"
    ovs.run("ovsdb-tool", "create", f"{place}.db", "/usr/share/openvswitch/vswitch.ovsschema")
    daemon = ["--detach", "--no-chdir", f"--pidfile={place}.pid", f"--log-file={place}.log", f"--unixctl={place}.ctl"]
    ovs.run("ovsdb-server", f"{place}.db", f"--remote=punix:{place}.sock", f"--sync-from={ovs.ovsdb}", *daemon)
    ovs.pids["backup"] = int(Path(f"{place}.pid").read_text())
    deadline = time.monotonic() + TIMEOUT
    with OvsdbClient(f"unix:{place}.sock", TIMEOUT) as backup:
        while ovs.run("ovsdb-client", "dump", f"unix:{place}.sock", "Bridge", "name").count("br") < 2:
            assert time.monotonic() < deadline
        with pytest.raises(OvsdbError, match=r"refuses: .*read.only.*; check that"):
            add_service_controllers(backup, ["br0"], TARGET)
    ovs.kill("backup", signal.SIGTERM)
    assert rows(ovs) == []


def test_the_bridge_dials(ovs: OvsInstance, client: OvsdbClient) -> None:
    assert ovs.vsctl("list-br").split() == ["br0", "br1"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        add_service_controllers(client, ["br0"], f"tcp:127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        connection.close()
