"""What the kernel does to packets that come in by a port does not keep them from ovs-vswitchd's own datapath.

Its packet socket takes them before the ingress queueing discipline, where ``ingress_policing_rate`` would work.
"""

import re
from dataclasses import replace

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.faults.limits import POLICING
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

PROBES, PATIENCE = 20, 5.0


def test_what_is_stolen_at_the_ingress_of_a_port_is_forwarded_all_the_same(lab: Lab) -> None:
    server = lab.servers["cs1"].namespace
    steal = "protocol all u32 match u32 0 0 action mirred egress redirect dev red-web1"
    server.run("tc", "qdisc", "add", "dev", "blue-web1", "ingress")
    try:
        server.run("tc", "filter", "add", "dev", "blue-web1", "parent", "ffff:", *steal.split())
        request = TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, count=PROBES, timeout=PATIENCE)
        report = lab.traffic.run(request)
        stolen = server.run("tc", "-s", "filter", "show", "dev", "blue-web1", "parent", "ffff:")
    finally:
        server.run("tc", "qdisc", "del", "dev", "blue-web1", "ingress")
    counted = re.search(r"Sent \d+ bytes (\d+) pkt", stolen)
    assert counted is not None
    assert int(counted[1]) >= PROBES
    assert report.replies == PROBES


def test_a_port_with_ingress_policing_lets_everything_in_and_is_healed(lab: Lab) -> None:
    before = policing(lab)
    with lab.faults.injected(Fault(FaultName.INGRESS_POLICING)):
        assert "qdisc ingress" in policing(lab)
        few = TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, count=2 * PROBES, timeout=PATIENCE)
        request = replace(few, rate=100, size=1000)
        assert lab.traffic.run(request).replies == 2 * PROBES
    assert policing(lab) == before


def policing(lab: Lab) -> str:
    """What the row of the sender's port and the kernel say of it."""
    server = lab.servers["cs1"]
    row = server.ovs.vsctl("get", "Interface", "blue-web1", *POLICING)
    return row + server.namespace.run("tc", "qdisc", "show", "dev", "blue-web1")
