"""A tenant's DSCP and ECN reach the destination as they were sent, whatever a trace does to them on the wire."""

import pytest
from tos_traffic import sending_tos
from vtrace_program import UDP

from vtrace_ovs.instrumentation.marks import POOL_2
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.pytest_plugin import Tracer

ROUNDS = 3

pytestmark = pytest.mark.usefixtures("unchanged")


def tos(dscp: int, ecn: int = 0) -> int:
    return dscp << 2 | ecn


def test_every_dscp_and_ecn_arrives_as_sent_while_traces_come_and_go(lab: Lab, vtrace: Tracer) -> None:
    values = [tos(0), tos(10, 1), tos(46, 2), tos(0, 3), tos(34, 2), tos(8), tos(1, 1), tos(62, 3)]
    with sending_tos(lab, *values) as traffic:
        results = [vtrace.trace(UDP, source_vm="blue-web1", packet_count=30) for _ in range(ROUNDS)]
    assert [result.verdict.disposition for result in results] == [Disposition.DELIVERED] * ROUNDS
    assert traffic.received == traffic.sent
    assert set(traffic.sent) == set(values)
    assert traffic.marks
    assert traffic.marks <= set(POOL_2)
    for result in results:
        for group in result.groups:
            first, last = group.example.hops[0].headers_in, group.example.hops[-1].headers_out
            assert first is not None
            assert last is not None
            assert (first.dscp, first.ecn) == (last.dscp, last.ecn)


def test_traffic_with_a_dscp_of_its_own_is_traced(lab: Lab, vtrace: Tracer) -> None:
    with sending_tos(lab, tos(46, 1)) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1")
    assert result.verdict.disposition is Disposition.DELIVERED
    assert result.packets >= 5
    (group,) = result.groups
    assert {hop.headers_in.dscp for hop in group.example.hops if hop.headers_in} == {46}
    assert traffic.received == traffic.sent
    assert traffic.marks <= set(POOL_2)
    assert traffic.marks


def test_a_code_point_of_ours_that_no_mark_uses_yet_stays_the_tenants(lab: Lab, vtrace: Tracer) -> None:
    with sending_tos(lab, tos(POOL_2[-1], 1), tos(0)) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1")
    assert result.verdict.disposition is Disposition.DELIVERED
    assert traffic.received == traffic.sent


def test_a_tenant_that_sends_one_of_our_marks_gets_it_back_and_the_result_says_so(lab: Lab, vtrace: Tracer) -> None:
    dscp = POOL_2[0]
    with sending_tos(lab, tos(dscp, 2), tos(0), rate=60) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1", packet_count=40)
    assert result.verdict.disposition is Disposition.DELIVERED
    (note,) = (note for note in result.notes if "code point" in note)
    assert f"DSCP {dscp}" in note
    assert all(group.example.hops[0].dscp_mark == 1 and not group.example.hops[0].inferred for group in result.groups)
    assert traffic.received.total() == traffic.sent.total()
    assert set(traffic.sent - traffic.received) <= {tos(dscp, 2)}, "nobody else's DSCP is touched"
    assert traffic.received[tos(dscp, 2)] > 0, "it is altered only until it is noticed"
