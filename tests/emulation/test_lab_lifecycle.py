"""A lab goes up, stays, and leaves nothing, however it ends."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vtrace_ovs.errors import LabError, UsageError
from vtrace_ovs.lab.client import LabClient
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.server import LabServer
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

DEADLINE = 60.0
CONNECTIONS = 20


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    ticks = iter(lambda: time.monotonic() > deadline, True)
    for _ in ticks:
        if condition():
            return
    pytest.fail(f"never: {what}")


def processes_of(directory: Path) -> list[int]:
    """Pids whose command line names the lab's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(directory) in command:
                found.append(int(entry.name))
    return found


def interfaces() -> set[str]:
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def is_namespace_owner(pid: int) -> bool:
    try:
        return b"mininet:" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_lab_leaves_no_process_namespace_interface_or_file(
    tmp_path: Path, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "new" / "vpc"
    before = interfaces()
    start = time.monotonic()
    with Lab(load_topology(), directory) as lab:
        up = time.monotonic() - start
        shells = [node.pid for node in lab.vms.values()] + [server.namespace.pid for server in lab.servers.values()]
        assert all(is_namespace_owner(pid) for pid in shells)
        assert interfaces() == before
    with capsys.disabled():
        sys.stdout.write(f"\nthe lab was up in {up:.1f} s\n")
    record_property("lab_up_seconds", up)
    assert not any(is_namespace_owner(pid) for pid in shells)
    assert processes_of(directory) == []
    assert list(tmp_path.iterdir()) == []
    assert interfaces() == before


def test_a_lab_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: LabServer, _overlay: object) -> None:
        raise LabError("half way")

    monkeypatch.setattr(LabServer, "_after_vswitchd", fail)
    with pytest.raises(LabError, match="half way"):
        Lab(load_topology(), tmp_path / "vpc").up()
    assert processes_of(tmp_path / "vpc") == []
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(LabError, match="exists"):
        Lab(load_topology(), tmp_path).up()
    assert (tmp_path / "mine").read_text() == "keep"


def test_what_the_inventory_reads_is_in_ovsdb(lab: Lab) -> None:
    ovs = lab.ovs("cs1")
    assert ovs.vsctl("get", "Open_vSwitch", ".", "external_ids:hostname").strip().strip('"') == "cs1"
    assert ovs.vsctl("get", "Open_vSwitch", ".", "external_ids:local_ip").strip().strip('"') == "172.31.0.11"
    assert ovs.vsctl("get", "Bridge", "br-int", "external_ids:vtrace-role").strip().strip('"') == "vswitch"
    assert "lab-vswitch.toml" in ovs.vsctl("get", "Bridge", "br-int", "external_ids:vtrace-profile")
    ids = ovs.vsctl("get", "Interface", "blue-web1", "external_ids")
    for entry in (
        "iface-id=blue-web1",
        'attached-mac="02:01:0a:00:01:0b"',
        'ip="10.0.1.11,fd00:0:0:1::11"',
        "tenant=blue",
    ):
        assert entry in ids
    assert 'vni="101"' in ids
    gateway = lab.ovs("gw1")
    assert gateway.vsctl("get", "Bridge", "vr-red", "external_ids:tenant").strip().strip('"') == "red"
    assert 'vni="202"' in gateway.vsctl("get", "Interface", "vni202", "external_ids")


def test_every_port_has_the_number_the_pipelines_use_and_no_error(lab: Lab) -> None:
    for name in ("cs1", "cs2", "cs3", "gw1", "pfd1", "pfd2"):
        rows = lab.ovs(name).vsctl(
            "--format=csv", "--no-headings", "--columns=ofport,ofport_request,error", "list", "interface"
        )
        for row in rows.splitlines():
            ofport, requested, error = row.split(",")
            assert requested in {"[]", ofport}
            assert error in {"[]", '""', ""}


def test_a_kept_lab_serves_every_call_until_it_is_taken_down(tmp_path: Path) -> None:
    client = LabClient(tmp_path / "run" / "vpc")
    state = client.up()
    try:
        assert [server.name for server in state.servers] == ["cs1", "cs2", "cs3", "gw1"]
        assert client.status() == state
        with pytest.raises(UsageError, match=r"up in .* already"):
            client.up()
        assert client.traffic("blue-web1", "blue-db2", "tcp", port=443, rate=100, count=3, timeout=3).replies == 3
        six = client.traffic("blue-web1", "blue-db2", "udp", port=5000, rate=100, count=3, timeout=3, dscp=9, ipv6=True)
        assert (six.replies, six.received, six.dscps) == (3, 3, (9,))
        fault = client.fault("security-deny", vm="blue-db2", port=443)
        assert client.status().faults == (fault,)
        assert client.traffic("blue-web1", "blue-db2", "tcp", port=443, rate=100, count=2, timeout=0.5).received == 0
        assert client.heal().faults == ()
        with pytest.raises(UsageError, match="not in force"):
            client.heal("security-deny")
        with pytest.raises(LabError, match="no VM 'nobody'"):
            client.traffic("nobody", "blue-db2")
        number = client.start_traffic(
            TrafficRequest("red-web1", "red-db2", TrafficProtocol.UDP, 5000, count=0, dscp=46, timeout=3)
        )
        report = client.stop_traffic(number)
        assert report.replies == report.sent
        interrupted(client, "blue-web1", "blue-db2", "tcp", port=5432)
        assert client.traffic("blue-web1", "blue-db2", "tcp", port=5432, rate=100, count=2, timeout=3).replies == 2
    finally:
        client.down()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LabError, match="no lab is up"):
        client.status()


def interrupted(client: LabClient, source: str, destination: str, protocol: str, *, port: int) -> None:
    """Traffic that would take an hour, and Ctrl-C once it is well under way."""
    state = client.status()
    inside = f"/proc/{next(vm.pid for vm in state.vms if vm.name == source)}/net/tcp"

    def press() -> None:
        until(lambda: Path(inside).read_text().count(f":{port:04X} ") > CONNECTIONS, f"{source} sends")
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        pressed = pool.submit(press)
        with pytest.raises(KeyboardInterrupt):
            client.traffic(source, destination, protocol, port=port, rate=20, count=72000)
        pressed.result()


def test_two_labs_live_side_by_side(lab: Lab, tmp_path: Path) -> None:
    client = LabClient(tmp_path / "other")
    client.up()
    try:
        client.fault("no-route")
        assert lab.traffic.run(TrafficRequest("blue-web1", "blue-db2", rate=100, count=3, timeout=3)).replies == 3
        assert client.traffic("blue-web1", "blue-db2", rate=100, count=3, timeout=0.5).replies == 0
    finally:
        client.down()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_keeper_that_is_asked_to_end_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    client = LabClient(tmp_path / "vpc")
    state = client.up()
    client.start_traffic(TrafficRequest("red-web1", "red-db2", TrafficProtocol.UDP, 5000, count=0))
    os.kill(state.keeper, number)
    until(lambda: not client.directory.exists() and not processes_of(client.directory), "the lab is gone")
    until(lambda: not any(is_namespace_owner(vm.pid) for vm in state.vms), "the namespaces are gone")


@pytest.mark.parametrize("remedy", ["down", "up"])
def test_what_a_killed_keeper_left_is_swept_up(tmp_path: Path, remedy: str) -> None:
    client = LabClient(tmp_path / "vpc")
    state = client.up()
    client.start_traffic(TrafficRequest("red-web1", "red-db2", TrafficProtocol.UDP, 5000, count=0))
    os.kill(state.keeper, signal.SIGKILL)
    until(lambda: not any(is_namespace_owner(vm.pid) for vm in state.vms), "the namespaces' shells are gone")
    with pytest.raises(LabError, match="no lab is up"):
        client.status()
    if remedy == "up":
        assert client.up().keeper != state.keeper
    client.down()
    assert processes_of(client.directory) == []
    assert list(tmp_path.iterdir()) == []


def test_a_keeper_that_cannot_build_says_why(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("name = 1")
    with pytest.raises(Exception, match=r"wrong\.toml"):
        LabClient(tmp_path / "vpc").up(str(wrong))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(LabError):
        LabClient(blocked / "vpc").up()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "wrong.toml"]
