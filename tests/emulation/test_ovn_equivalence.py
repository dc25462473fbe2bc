"""A packet per production flow of both chassis of a real OVN, before and while a task is armed."""

import os
from pathlib import Path

import pytest
from live_equivalence import LiveBridge, Sent, assert_same_while_armed, packets
from ovn_judge import OvnBridge
from vtrace_program import Vtrace

from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import VMS

pytest_plugins = ("ovn_fixtures",)

SENDER, RECEIVER = VMS[0], VMS[1]
PORT = "9"
FILTER = f"udp,nw_src={SENDER.address},nw_dst={RECEIVER.address},tp_dst={PORT}"


@pytest.fixture
def program(ovn: OvnLab, tmp_path: Path) -> Vtrace:
    places = {"VTRACE_DATABASE": str(tmp_path / "vtrace.db"), "VTRACE_RUNDIR": str(tmp_path / "run")}
    servers = ",".join(chassis.ovs.ovsdb for chassis in ovn.chassis.values())
    return Vtrace({**os.environ, **places, "VTRACE_OVSDB": servers, "VTRACE_LISTEN": "", "NO_COLOR": "1"})


def sent_on(bridge: LiveBridge, view: OvnBridge) -> tuple[Sent, ...]:
    addresses = {"nw_src": SENDER.address, "nw_dst": RECEIVER.address, "dl_src": SENDER.mac, "dl_dst": RECEIVER.mac}
    base = Sent({"in_port": "1", **addresses, "udp_src": "4000", "udp_dst": PORT})
    return packets(bridge.production(), sorted(port for port in view.ports.values() if port < 1000), base)


def test_every_flow_of_ovn_does_the_same_while_a_task_is_armed(
    ovn: OvnLab, bridges: dict[str, OvnBridge], program: Vtrace
) -> None:
    live = [LiveBridge(chassis.ovs, INTEGRATION_BRIDGE) for chassis in ovn.chassis.values()]
    sent = {bridge: sent_on(bridge, bridges[name]) for bridge, name in zip(live, ovn.chassis, strict=True)}
    assert_same_while_armed(program, (FILTER,), sent, (SENDER.address, RECEIVER.address, PORT))
