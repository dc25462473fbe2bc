"""Beside VXLAN, packets may cross the underlay in Geneve or GRE: paths, marks and verdicts are the same."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from vtrace_ovs.lab.faults import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.overlay import Encapsulation
from vtrace_ovs.model.verdict import CauseCode
from vtrace_ovs.pytest_plugin import Tracer

SOURCE, DESTINATION = "blue-web1", "blue-db2"
FILTER = "tcp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=443"


@pytest.fixture(scope="module", params=[Encapsulation.GENEVE, Encapsulation.GRE], ids=lambda kind: kind.value)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The vpc overlay with another way across the underlay, and traffic on it."""
    overlay = load_topology()
    other = replace(overlay, underlay=replace(overlay.underlay, encapsulation=request.param))
    with Lab(other, tmp_path_factory.mktemp("lab") / request.param.value) as running:
        running.traffic.start(TrafficRequest(SOURCE, DESTINATION, TrafficProtocol.TCP, 443, rate=25, count=0))
        yield running


@pytest.mark.usefixtures("unchanged")
def test_a_packet_is_followed_through_its_tunnels(vtrace: Tracer) -> None:
    (group,) = vtrace.assert_delivered(FILTER, source_vm=SOURCE).groups
    hops = group.example.hops
    assert [hop.bridge.name for hop in hops] == ["br-int", "br-int", "vr-blue", "br-int", "br-int"]
    assert [hop.arrived_by.vni for hop in hops if hop.arrived_by is not None] == [101, 102]


def test_a_drop_behind_the_tunnels_is_named(lab: Lab, vtrace: Tracer) -> None:
    with lab.faults.injected(Fault(FaultName.SECURITY_DENY)):
        culprit = vtrace.assert_lost(FILTER, CauseCode.SECURITY_RULE_DENY, source_vm=SOURCE).verdict.culprit
    assert culprit is not None
    assert (str(culprit.bridge), culprit.table_id) == ("cs3/br-int", 40)
