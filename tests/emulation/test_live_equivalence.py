"""A packet per production flow, on every VFD of the lab, before and during a trace."""

import pytest
from live_equivalence import LiveBridge, Sent, assert_same_while_armed, packets
from vtrace_program import NEVER_SENT, Vtrace, vfds

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

SENT = Sent({"in_port": "1", "nw_src": "10.0.1.11", "nw_dst": "10.0.2.22", "udp_src": "4000", "udp_dst": "9"})
PORTS = tuple(range(1, 6))


@pytest.mark.usefixtures("unchanged")
def test_every_production_flow_of_the_lab_does_the_same_while_a_task_is_armed(lab: Lab, program: Vtrace) -> None:
    lab.traffic.run(TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, count=5, timeout=3))
    bridges = [LiveBridge(lab.ovs(server), bridge) for server, bridge in vfds(lab)]
    assert len(bridges) == 6
    sent = {bridge: packets(bridge.production(), PORTS, SENT) for bridge in bridges}
    assert_same_while_armed(program, (NEVER_SENT, "--from", "blue-web1"), sent, ("10.0.1.11", "10.0.2.22", "9"))
