import os
import re
import signal
from pathlib import Path

import pytest

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.liveness import probe

TIMEOUT = 60.0


@pytest.fixture
def local(ovs: OvsInstance) -> Bridge:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    attachment = ManagementSocket(str(ovs.management_socket("br0")))
    return Bridge(BridgeId("server", "br0"), 1, BridgeRole.VSWITCH, (), attachment)


@pytest.fixture
def remote(ovs: OvsInstance) -> Bridge:
    control = str(ovs.directory / "ovsdb-server.ctl")
    ovs.run("ovs-appctl", "-t", control, "ovsdb-server/add-remote", "ptcp:0:127.0.0.1")
    ovs.run("ovs-appctl", "-t", control, "vlog/reopen")
    (port,) = re.findall(r"listening on port (\d+)", (ovs.directory / "ovsdb-server.log").read_text())
    attachment = ServiceController(f"tcp:127.0.0.1:{port}")
    return Bridge(BridgeId("server", "br0"), 1, BridgeRole.VSWITCH, (), attachment)


def test_a_running_vswitchd_answers_on_the_management_socket(local: Bridge) -> None:
    liveness = probe(local, TIMEOUT)
    assert liveness.alive
    assert liveness.reason.startswith("server/br0: ovs-vswitchd answers on ")


def test_a_killed_vswitchd_leaves_a_socket_nobody_listens_on(ovs: OvsInstance, local: Bridge) -> None:
    ovs.kill("ovs-vswitchd")
    liveness = probe(local, TIMEOUT)
    assert not liveness.alive
    assert "died without cleaning up" in liveness.reason


def test_a_stopped_vswitchd_leaves_no_socket(ovs: OvsInstance, local: Bridge) -> None:
    ovs.kill("ovs-vswitchd", signal.SIGTERM)
    liveness = probe(local, TIMEOUT)
    assert not liveness.alive
    assert "does not run there, or the bridge is gone" in liveness.reason


def test_a_hanging_vswitchd_is_told_from_a_running_one(ovs: OvsInstance, local: Bridge) -> None:
    os.kill(ovs.pids["ovs-vswitchd"], signal.SIGSTOP)
    try:
        liveness = probe(local, 0.05)
    finally:
        os.kill(ovs.pids["ovs-vswitchd"], signal.SIGCONT)
    assert not liveness.alive
    assert "it hangs" in liveness.reason


def test_no_run_directory_is_said(tmp_path: Path) -> None:
    attachment = ManagementSocket(str(tmp_path / "gone" / "br0.mgmt"))
    liveness = probe(Bridge(BridgeId("server", "br0"), None, BridgeRole.VSWITCH, (), attachment), TIMEOUT)
    assert not liveness.alive
    assert "no Open vSwitch run directory" in liveness.reason


def test_a_remote_vswitchd_is_known_by_the_lock_it_holds(ovs: OvsInstance, remote: Bridge) -> None:
    assert probe(remote, TIMEOUT).alive
    ovs.kill("ovs-vswitchd")
    liveness = probe(remote, TIMEOUT)
    assert not liveness.alive
    assert "no ovs-vswitchd is connected" in liveness.reason


def test_probing_does_not_keep_a_vswitchd_from_starting(ovs: OvsInstance, remote: Bridge) -> None:
    ovs.kill("ovs-vswitchd")
    assert not probe(remote, TIMEOUT).alive
    ovs.start_vswitchd()
    ovs.vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=dummy")
    assert probe(remote, TIMEOUT).alive


def test_an_unreachable_ovsdb_is_a_reason_not_an_error() -> None:
    attachment = ServiceController("tcp:127.0.0.1:1")
    liveness = probe(Bridge(BridgeId("server", "br0"), None, BridgeRole.VSWITCH, (), attachment), TIMEOUT)
    assert not liveness.alive
    assert "Connection refused" in liveness.reason
