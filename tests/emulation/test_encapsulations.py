"""Packets may cross the underlay in Geneve or GRE, or over IPv6: paths, marks and verdicts are the same."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv6Network

import pytest

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.overlay import Encapsulation, Overlay
from vtrace_ovs.model.packet import IpFamily, family_of
from vtrace_ovs.model.verdict import CauseCode
from vtrace_ovs.pytest_plugin import Tracer

SOURCE, DESTINATION = "blue-web1", "blue-db2"
FILTERS = {
    IpFamily.IPV4: "tcp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=443",
    IpFamily.IPV6: "tcp6,ipv6_src=fd00:0:0:1::11,ipv6_dst=fd00:0:0:2::22,tp_dst=443",
}
PREFIX = IPv6Network("fd31::/64")


def over_ipv6(overlay: Overlay) -> Overlay:
    """The same overlay with VTEPs of IPv6."""
    servers = tuple(replace(server, vtep=PREFIX[int(server.vtep) & 0xFF]) for server in overlay.servers)
    return replace(overlay, servers=servers, underlay=replace(overlay.underlay, prefix=PREFIX))


@pytest.fixture(
    scope="module",
    params=[
        (Encapsulation.GENEVE, IpFamily.IPV4),
        (Encapsulation.GRE, IpFamily.IPV4),
        (Encapsulation.VXLAN, IpFamily.IPV6),
        (Encapsulation.GENEVE, IpFamily.IPV6),
    ],
    ids=lambda way: f"{way[0].value}-{way[1].name.lower()}",
)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The vpc overlay with another way across the underlay, and traffic of the underlay's family on it."""
    encapsulation, family = request.param
    overlay = load_topology() if family is IpFamily.IPV4 else over_ipv6(load_topology())
    other = replace(overlay, underlay=replace(overlay.underlay, encapsulation=encapsulation))
    with Lab(other, tmp_path_factory.mktemp("lab") / encapsulation.value) as running:
        running.traffic.start(
            TrafficRequest(SOURCE, DESTINATION, TrafficProtocol.TCP, 443, rate=25, count=0, family=family)
        )
        yield running


@pytest.fixture
def wanted(lab: Lab) -> str:
    return FILTERS[family_of(lab.base.servers[0].vtep)]


@pytest.mark.usefixtures("unchanged")
def test_a_packet_is_followed_through_its_tunnels(lab: Lab, vtrace: Tracer, wanted: str) -> None:
    (group,) = vtrace.assert_delivered(wanted, source_vm=SOURCE).groups
    hops = group.example.hops
    assert [hop.bridge.name for hop in hops] == ["br-int", "br-int", "vr-blue", "br-int", "br-int"]
    assert [hop.arrived_by.vni for hop in hops if hop.arrived_by is not None] == [101, 102]
    near, middle, far = (lab.base.server(name).vtep for name in ("cs1", "gw1", "cs3"))
    assert [(hop.left_by.source, hop.left_by.destination) for hop in hops if hop.left_by is not None] == [
        *((near, middle), (middle, far))
    ]
    assert [hop.dscp_mark for hop in hops] == [1, 2, 3, 4, 5]


def test_a_drop_behind_the_tunnels_is_named(lab: Lab, vtrace: Tracer, wanted: str) -> None:
    with lab.faults.injected(Fault(FaultName.SECURITY_DENY)):
        culprit = vtrace.assert_lost(wanted, CauseCode.SECURITY_RULE_DENY, source_vm=SOURCE).verdict.culprit
    assert culprit is not None
    assert (str(culprit.bridge), culprit.table_id) == ("cs3/br-int", 40)
