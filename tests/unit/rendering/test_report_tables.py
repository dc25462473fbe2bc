from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.model.cost import ServerCost, ServerReading
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.records import CounterKind, CounterSample
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, Evidence, Fate, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.report_tables import (
    cost_table,
    counter_table,
    lookup_table,
    loss_table,
    near_miss_table,
    packet_table,
)

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
FLOW = FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF)))
NEAR = NearMiss(FLOW, 5, (("tcp_dst", "443", "80"),))
DENY = Step(40, FLOW, 7, "drop", near_misses=(NEAR,))
CLASSIFY = Step(0, None, None, "", ambiguous=True)
BRIDGE = BridgeId("server1", "br-int")


def test_lookups_show_the_deciding_flow_and_what_nearly_matched(
    hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    seen = way(hop(steps=(DENY,)), ending=Ending.DROPPED)
    walked = way(hop(steps=(CLASSIFY, DENY)), ending=Ending.DROPPED, origin=Origin.PREDICTED)
    text = lookup_table(PathGroup(verdict(Disposition.DROPPED), seen, 1, walked))
    assert '<td class="plain">no flow matches<br>another flow of the same priority matches too</td>' in text
    assert '<td class="bad">table=40, cookie=0x7, priority=100,tp_dst=443</td><td class="plain">drop</td>' in text
    assert "tp_dst=443 would have matched but for tcp_dst: the packet has 80, the flow wants 443" in text
    assert near_miss_table((NEAR,)).count("<tr>") == 2


def test_every_loss_has_a_row_with_its_share_and_what_is_known_of_it(verdict: MakeVerdict) -> None:
    fact = Evidence("It was logged.", observed=True)
    lost = verdict(Disposition.DROPPED, culprit=Culprit("s1"), near_misses=(NEAR,), remedy="Mend it.", evidence=(fact,))
    text = loss_table(TaskResult(1, lost, (), 20, losses=(Fate(12, lost), Fate(8, verdict(Disposition.LOOPED)))))
    assert text.count("<tr>") == 3
    for words in ("12 of 20 packets (60 %)", "✗ DROPPED at s1", "For you.", "Mend it.", "It was logged.", "wants 443"):
        assert words in text


def test_each_packet_has_a_row_with_its_path_and_verdict(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    first = replace(way(hop()), first_seen=5.0)
    second = replace(first, occurrence=1, first_seen=5.5)
    groups = (PathGroup(verdict(), way(), 1), PathGroup(verdict(), first, 2))
    text = packet_table(((first, groups[1]), (second, None)), groups)
    assert '<td class="plain">0.000000</td>' in text
    assert '<td class="plain">2</td><td class="good">DELIVERED</td>' in text
    assert '<td class="plain">digest (2)</td><td class="plain">0.500000</td>' in text
    assert "no verdict on this packet alone" in text


def test_counters_that_did_not_change_are_left_out() -> None:
    def sample(subject: str, packets: int, at: float) -> CounterSample:
        return CounterSample(1, BRIDGE, CounterKind.PORT, subject, packets, 0, at)

    text = counter_table([sample("port 3", 9, 3.0), sample("port 3", 4, 1.0), sample("port 4", 4, 1.0)])
    assert "port 3" in text
    assert "+5" in text
    assert "port 4" not in text
    assert not counter_table([sample("port 4", 4, 1.0), sample("port 4", 4, 2.0)])


def test_costs_that_are_not_known_are_empty() -> None:
    known = ServerCost("cs1", 40, ServerReading(1.0, 5, 4, 100, 1.0), ServerReading(3.0, 8, 4, 120, 1.1))
    text = cost_table((known, ServerCost("cs2", 1)))
    assert "+3</td><td" in text
    assert "5.0 %" in text
    assert text.count('<td class="plain"></td>') == 4
