from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest

from vtrace_ovs.diagnosis.case import Finding, verdict_of
from vtrace_ovs.diagnosis.counted_datapath import CountedTraffic, audited, lost_between, questions_about
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.counting import Loss
from vtrace_ovs.model.datapath import Contradiction, DatapathReading
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.topology import BridgeId, Node, Topology
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition

A, B = BridgeId("s1", "br0"), BridgeId("s2", "br0")
ENDS = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
SIX = IPv6Address("2001:db8::1")
TOPOLOGY = Topology((Node("s1", "", (SIX, ENDS[0])), Node("s2", "", ENDS[1:])))
DIRECT = Filter("udp", 17, source=IPv4Network("10.0.0.0/24"))
ALIAS = Filter("udp", 17, source=IPv4Network("198.51.100.1/32"))
TRAFFIC = CountedTraffic(TOPOLOGY, (DIRECT, ALIAS), frozenset({3, 7}))
BEGAN, READ = 100.0, 103.0
WIRE = Loss(12, lost_between(Culprit("s1", A, next_node="s2", next_bridge=B), str(B), Confidence.INFERRED))
ANYWHERE = Loss(12, lost_between(Culprit("s1", A), "one of s2, s3", Confidence.INFERRED))
DROPS = Contradiction("in_port(6)", "drop", "tnl_pop(3)", ("tnl_pop(3)",), used_at=BEGAN + 1, outer=True)


def found_as(disposition: Disposition, code: CauseCode) -> Loss:
    where = Particulars(str(B))
    return Loss(
        4, verdict_of(Finding(disposition, code, Confidence.CORROBORATED, where, culprit=Culprit("s2", B)), None)
    )


INSIDE = found_as(Disposition.LOST_IN_VFD, CauseCode.UNKNOWN)


def answers(loss: Loss, *found: Contradiction, compared: int | None = 1) -> tuple[DatapathReading, ...]:
    one, *others = (DatapathReading(question, READ, compared, 0) for question in questions_about(loss, TRAFFIC))
    return (replace(one, contradictions=found), *others)


def test_the_receivers_datapath_is_asked_for_both_colors_of_the_traffic_and_its_aliases_in_the_tunnel() -> None:
    questions = questions_about(WIRE, TRAFFIC)
    assert [(one.node, one.traffic, one.tunnel, one.dscps) for one in questions] == [
        ("s2", traffic, ENDS, TRAFFIC.codes) for traffic in (DIRECT, ALIAS)
    ]


def test_of_a_loss_inside_a_vfd_its_own_datapath_is_asked_whatever_tunnel_packets_came_by() -> None:
    assert [(one.node, one.tunnel) for one in questions_about(INSIDE, TRAFFIC)] == [("s2", (None, None))] * 2


@pytest.mark.parametrize(
    "loss", [ANYWHERE, found_as(Disposition.DROPPED, CauseCode.METER_RATE_LIMIT)], ids=["no one server", "known"]
)
def test_nobody_is_asked_where_the_server_is_not_known_or_the_cause_is(loss: Loss) -> None:
    assert questions_about(loss, TRAFFIC) == ()
    assert audited(loss, BEGAN, ()) is loss


@pytest.mark.parametrize("loss", [WIRE, INSIDE])
def test_a_datapath_flow_that_contradicts_the_tables_is_blamed_with_its_vfd(loss: Loss) -> None:
    verdict = audited(loss, BEGAN, answers(loss, DROPS)).verdict
    assert (verdict.disposition, verdict.code) == (Disposition.LOST_IN_VFD, CauseCode.STALE_MEGAFLOW)
    assert (verdict.culprit, verdict.confidence) == (Culprit("s2", B), Confidence.CORROBORATED)
    assert "in_port(6) does drop, and leaves out tnl_pop(3)" in verdict.operator_sentence


def test_one_that_met_no_packet_since_the_interval_began_is_not_blamed_and_clears_nobody() -> None:
    before = replace(DROPS, used_at=BEGAN - 1)
    assert audited(WIRE, BEGAN, answers(WIRE, before)) == WIRE


def test_a_datapath_that_follows_its_tables_leaves_the_wire() -> None:
    verdict = audited(WIRE, BEGAN, answers(WIRE)).verdict
    assert (verdict.code, verdict.confidence) == (CauseCode.UNDERLAY_LOSS, Confidence.CORROBORATED)
    assert verdict.operator_sentence == "Lost between s1/br0 and s2/br0."
    assert "2 datapath flows of s2" in verdict.evidence[0].sentence
    assert audited(INSIDE, BEGAN, answers(INSIDE)) == INSIDE


@pytest.mark.parametrize("compared", [None, 0], ids=["not read", "no flow there any more"])
def test_a_datapath_that_says_nothing_may_have_dropped_it(compared: int | None) -> None:
    assert audited(WIRE, BEGAN, answers(WIRE, compared=compared)) == WIRE
    assert WIRE.verdict.operator_sentence == "Lost between s1/br0 and s2/br0, or dropped in the datapath of s2."
    assert WIRE.verdict.confidence is Confidence.INFERRED
