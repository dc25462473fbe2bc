"""A packet per production flow, on every VFD of the lab, before and during a trace."""

from signal import SIGINT

import pytest
from live_equivalence import LiveBridge, Sent, difference, packets
from vtrace_program import DEADLINE, NEVER_SENT, Vtrace, await_that, vfds

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

SENT = Sent({"in_port": "1", "nw_src": "10.0.1.11", "nw_dst": "10.0.2.22", "udp_src": "4000", "udp_dst": "9"})
PORTS = tuple(range(1, 6))


@pytest.mark.usefixtures("unchanged")
def test_every_production_flow_of_the_lab_does_the_same_while_a_task_is_armed(lab: Lab, program: Vtrace) -> None:
    lab.traffic.run(TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, count=5, timeout=3))
    bridges = [LiveBridge(lab.ovs(server), bridge) for server, bridge in vfds(lab)]
    assert len(bridges) == 6
    sent = [packets(bridge.production(), PORTS, SENT) for bridge in bridges]
    before = [bridge.traces(of_it) for bridge, of_it in zip(bridges, sent, strict=True)]
    n_copied = 0
    with program.started("run", NEVER_SENT, "--from", "blue-web1", "-n", "5", "-t", "25") as process:
        await_that(lambda: process.poll() is not None or program.state() == "armed", program.state)
        assert process.poll() is None, process.communicate()
        for bridge, of_it, plain in zip(bridges, sent, before, strict=True):
            assert bridge.carries_ours()
            for packet, then, now in zip(of_it, plain, bridge.traces(of_it), strict=True):
                traced = packet.is_of("10.0.1.11", "10.0.2.22", "9")
                told = difference(then, now, traced=traced)
                assert told is None, f"{bridge.name}: {packet.text}\n{told}"
                n_copied += traced and "0x5654" in str(now)
        process.send_signal(SIGINT)
        process.communicate(timeout=DEADLINE)
    assert n_copied > 0
    assert sum(map(len, sent)) > 200
