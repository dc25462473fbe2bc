"""What the kernel does to packets that come in by a port does not keep them from ovs-vswitchd's own datapath.

Its packet socket takes them before the ingress queueing discipline, where ``ingress_policing_rate`` would work.
"""

import re

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

PROBES = 20


def test_what_is_stolen_at_the_ingress_of_a_port_is_forwarded_all_the_same(lab: Lab) -> None:
    server = lab.servers["cs1"].namespace
    steal = "protocol all u32 match u32 0 0 action mirred egress redirect dev red-web1"
    server.run("tc", "qdisc", "add", "dev", "blue-web1", "ingress")
    try:
        server.run("tc", "filter", "add", "dev", "blue-web1", "parent", "ffff:", *steal.split())
        report = lab.traffic.run(TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, count=PROBES))
        stolen = server.run("tc", "-s", "filter", "show", "dev", "blue-web1", "parent", "ffff:")
    finally:
        server.run("tc", "qdisc", "del", "dev", "blue-web1", "ingress")
    counted = re.search(r"Sent \d+ bytes (\d+) pkt", stolen)
    assert counted is not None
    assert int(counted[1]) >= PROBES
    assert report.replies == PROBES


def test_a_port_with_ingress_policing_lets_everything_in(lab: Lab) -> None:
    ovs = lab.ovs("cs1")
    columns = ("ingress_policing_rate", "ingress_policing_burst", "ingress_policing_kpkts_rate")
    ovs.vsctl("set", "Interface", "blue-web1", *(f"{column}=1" for column in columns))
    try:
        request = TrafficRequest(
            "blue-web1", "blue-db2", TrafficProtocol.UDP, 5000, rate=100, count=2 * PROBES, size=1000
        )
        assert lab.traffic.run(request).replies == 2 * PROBES
    finally:
        ovs.vsctl("set", "Interface", "blue-web1", *(f"{column}=0" for column in columns))
