"""A tenant's DSCP and ECN reach the destination as they were sent, whatever a trace does to them on the wire."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import tos_endpoint
from vtrace_program import UDP

from vtrace_ovs.instrumentation.marks import POOL_2
from vtrace_ovs.lab.namespaces import Namespace
from vtrace_ovs.lab.network import VM_INTERFACE, Lab
from vtrace_ovs.lab.wiring import UPLINK
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.pytest_plugin import Tracer

RATE = 300
ROUNDS = 3
PORT = UDP.rpartition("=")[2]
DEADLINE = 20.0

pytestmark = pytest.mark.usefixtures("unchanged")


@dataclass
class Traffic:
    """How many packets had which TOS byte: sent, on the wire from the first server, and at the destination."""

    sent: Counter[int] = field(default_factory=Counter)
    on_the_wire: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)

    @property
    def marks(self) -> set[int]:
        """The DSCPs on the wire that nobody sent."""
        return {tos >> 2 for tos in self.on_the_wire} - {tos >> 2 for tos in self.sent}


@contextmanager
def sending(lab: Lab, *values: int, rate: int = RATE) -> Iterator[Traffic]:
    """UDP of one five-tuple whose packets have these TOS bytes in turn; counted when the block has ended."""
    traffic = Traffic()
    wire = _start(lab.servers["cs1"].namespace, "watch", UPLINK, PORT)
    witness = _start(lab.vm("blue-db2"), "watch", VM_INTERFACE, PORT)
    sender = _start(lab.vm("blue-web1"), "send", "10.0.2.22", PORT, str(rate), ",".join(map(str, values)))
    try:
        yield traffic
    finally:
        for process, counter in ((sender, traffic.sent), (wire, traffic.on_the_wire), (witness, traffic.received)):
            counter.update(_counts(process))


def _start(node: Namespace, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*node.prefix, sys.executable, tos_endpoint.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _counts(process: subprocess.Popen[str]) -> Counter[int]:
    out, _ = process.communicate(timeout=DEADLINE)
    return Counter({int(tos): packets for tos, packets in json.loads(out).items()})


def tos(dscp: int, ecn: int = 0) -> int:
    return dscp << 2 | ecn


def test_every_dscp_and_ecn_arrives_as_sent_while_traces_come_and_go(lab: Lab, vtrace: Tracer) -> None:
    values = [tos(0), tos(10, 1), tos(46, 2), tos(0, 3), tos(34, 2), tos(8), tos(1, 1), tos(62, 3)]
    with sending(lab, *values) as traffic:
        results = [vtrace.trace(UDP, source_vm="blue-web1", packet_count=30) for _ in range(ROUNDS)]
    assert [result.verdict.disposition for result in results] == [Disposition.DELIVERED] * ROUNDS
    assert traffic.received == traffic.sent
    assert traffic.sent.total() > RATE
    assert traffic.marks
    assert traffic.marks <= set(POOL_2)
    for result in results:
        for group in result.groups:
            first, last = group.example.hops[0].headers_in, group.example.hops[-1].headers_out
            assert first is not None
            assert last is not None
            assert (first.dscp, first.ecn) == (last.dscp, last.ecn)


def test_traffic_with_a_dscp_of_its_own_is_traced(lab: Lab, vtrace: Tracer) -> None:
    with sending(lab, tos(46, 1)) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1")
    assert result.verdict.disposition is Disposition.DELIVERED
    assert result.packets >= 5
    (group,) = result.groups
    assert {hop.headers_in.dscp for hop in group.example.hops if hop.headers_in} == {46}
    assert traffic.received == traffic.sent
    assert traffic.marks <= set(POOL_2)
    assert traffic.marks


def test_a_code_point_of_ours_that_no_mark_uses_yet_stays_the_tenants(lab: Lab, vtrace: Tracer) -> None:
    with sending(lab, tos(POOL_2[-1], 1), tos(0)) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1")
    assert result.verdict.disposition is Disposition.DELIVERED
    assert traffic.received == traffic.sent


def test_a_tenant_that_sends_one_of_our_marks_gets_it_back_and_the_result_says_so(lab: Lab, vtrace: Tracer) -> None:
    dscp = POOL_2[0]
    with sending(lab, tos(dscp, 2), tos(0), rate=60) as traffic:
        result = vtrace.trace(UDP, source_vm="blue-web1", packet_count=40)
    assert result.verdict.disposition is Disposition.DELIVERED
    (note,) = (note for note in result.notes if "code point" in note)
    assert f"DSCP {dscp}" in note
    assert traffic.received.total() == traffic.sent.total()
    assert set(traffic.sent - traffic.received) <= {tos(dscp, 2)}, "nobody else's DSCP is touched"
    assert traffic.received[tos(dscp, 2)] > traffic.sent[tos(dscp, 2)] / 2, "it is altered only until it is noticed"
