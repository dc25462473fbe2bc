"""Rounds of the revalidators of a real ovs-vswitchd are waited for, and who cannot be asked is said so."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.revalidation import NUDGE_INTERVAL, wait_rounds

TIMEOUT = 60.0
ROUNDS = 2


def bridge_of(ovs: OvsInstance) -> Bridge:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    socket = ManagementSocket(str(ovs.management_socket("br0")))
    return Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, (), socket)


def test_rounds_are_over_after_a_flow_changed_for_each(ovs: OvsInstance) -> None:
    bridge = bridge_of(ovs)
    begun: list[str] = []

    def change() -> None:
        begun.append("asked")
        ovs.ofctl("add-flow", "br0", "table=9,actions=drop")

    assert wait_rounds(bridge, ROUNDS, change, timeout=TIMEOUT)
    assert len(begun) >= ROUNDS


def test_a_daemon_that_is_slow_is_nudged_less_and_less(ovs: OvsInstance) -> None:
    bridge = bridge_of(ovs)
    nudges: list[str] = []
    os.kill(ovs.pids["ovs-vswitchd"], signal.SIGSTOP)
    try:
        assert not wait_rounds(bridge, ROUNDS, lambda: nudges.append("nudged"), timeout=1.0)
    finally:
        os.kill(ovs.pids["ovs-vswitchd"], signal.SIGCONT)
    assert 1 < len(nudges) < 1.0 / NUDGE_INTERVAL / 10


def test_a_dead_daemon_and_a_remote_bridge_cannot_be_asked(ovs: OvsInstance, tmp_path: Path) -> None:
    bridge = bridge_of(ovs)
    remote = ServiceController("tcp:192.0.2.1:6640")
    nowhere = ManagementSocket(str(tmp_path / "nobody" / "br0.mgmt"))
    assert not wait_rounds(replace(bridge, attachment=nowhere), ROUNDS, lambda: None, timeout=TIMEOUT)
    assert not wait_rounds(replace(bridge, attachment=remote), ROUNDS, lambda: None, timeout=TIMEOUT)
    ovs.kill("ovs-vswitchd")
    assert not wait_rounds(bridge, ROUNDS, lambda: None, timeout=TIMEOUT)
