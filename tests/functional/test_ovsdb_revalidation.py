"""One round of the revalidators of a real ovs-vswitchd is waited for, and who cannot be asked is said so."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.revalidation import NUDGE_INTERVAL, wait_round

TIMEOUT = 60.0


def bridge_of(ovs: OvsInstance) -> Bridge:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    socket = ManagementSocket(str(ovs.management_socket("br0")))
    return Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, (), socket)


def test_a_round_is_over_after_a_flow_changed(ovs: OvsInstance) -> None:
    bridge = bridge_of(ovs)
    begun: list[str] = []

    def change() -> None:
        begun.append("asked")
        ovs.ofctl("add-flow", "br0", "table=9,actions=drop")

    assert wait_round(bridge, change, TIMEOUT)
    assert begun


def test_a_daemon_that_is_slow_is_nudged_less_and_less(ovs: OvsInstance) -> None:
    bridge = bridge_of(ovs)
    nudges: list[str] = []
    os.kill(ovs.pids["ovs-vswitchd"], signal.SIGSTOP)
    try:
        assert not wait_round(bridge, lambda: nudges.append("nudged"), timeout=1.0)
    finally:
        os.kill(ovs.pids["ovs-vswitchd"], signal.SIGCONT)
    assert 1 < len(nudges) < 1.0 / NUDGE_INTERVAL / 10


def test_a_dead_daemon_and_a_remote_bridge_cannot_be_asked(ovs: OvsInstance, tmp_path: Path) -> None:
    bridge = bridge_of(ovs)
    nowhere = ManagementSocket(str(tmp_path / "nobody" / "br0.mgmt"))
    assert not wait_round(replace(bridge, attachment=nowhere), lambda: None, TIMEOUT)
    assert not wait_round(replace(bridge, attachment=ServiceController("tcp:192.0.2.1:6640")), lambda: None, TIMEOUT)
    ovs.kill("ovs-vswitchd")
    assert not wait_round(bridge, lambda: None, TIMEOUT)
