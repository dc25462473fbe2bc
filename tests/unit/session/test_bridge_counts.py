from dataclasses import replace

from vtrace_ovs.model.flow import BridgeTables, Flow, PortCounters
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Culprit
from vtrace_ovs.session.bridge_counts import BridgeCounts, counted_since, counts_of

HERE, OTHER = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
FIRST, SECOND = (Flow(table, 5, Match(), (), n_packets=table) for table in (1, 2))


def tables(*flows: Flow) -> BridgeTables:
    return BridgeTables(1, 0.0, flows)


def counts(*packets: int, port: PortCounters | None = None) -> BridgeCounts:
    flows = tuple(replace(flow, n_packets=count) for flow, count in zip((FIRST, SECOND), packets, strict=False))
    return counts_of(tables(*flows), tables(*flows), () if port is None else (port,))


def test_counters_of_an_equal_reading_are_told_by_the_flows_that_are_kept() -> None:
    kept = tables(FIRST, SECOND)
    for read in ((9, 8), (8, 9)):
        flows = {1: replace(FIRST, n_packets=read[0]), 2: replace(SECOND, n_packets=read[1])}
        order = (flows[1], flows[2]) if read[0] == 9 else (flows[2], flows[1])
        found = counts_of(kept, tables(*order), ())
        assert found.flows is kept.flows
        assert (found.of_flow(FIRST.key), found.of_flow(SECOND.key)) == read
    assert counts(3).of_flow(SECOND.key) is None


def test_only_what_is_blamed_is_counted() -> None:
    before, now = {HERE: counts(3, 4), OTHER: counts(3, 4)}, {HERE: counts(10, 4), OTHER: counts(10, 4)}
    assert counted_since(before, now, [Culprit("cs1", HERE, flow=FIRST.key)]).flows == {(HERE, FIRST.key): 7}
    assert counted_since(before, now, [Culprit("cs1", HERE)]).flows == {}


def test_a_flow_that_came_later_counts_from_zero_and_one_reset_is_not_known() -> None:
    blamed = [Culprit("cs1", HERE, flow=SECOND.key)]
    assert counted_since({HERE: counts(3)}, {HERE: counts(3, 6)}, blamed).flows == {(HERE, SECOND.key): 6}
    assert counted_since({HERE: counts(3, 9)}, {HERE: counts(3, 6)}, blamed).flows == {}
    assert counted_since({}, {HERE: counts(3, 6)}, blamed).flows == {}, "it was not read before"


def test_flows_that_expire_are_not_counted_as_they_run_for_traced_packets_too() -> None:
    for expiring in (replace(FIRST, idle_timeout=9), replace(FIRST, hard_timeout=9)):
        assert counts_of(tables(expiring), tables(expiring), ()).of_flow(FIRST.key) is None


def test_ports_of_both_ends_of_a_loss_are_counted() -> None:
    before, now = PortCounters(4, 1, 2, 3, None), PortCounters(4, 11, 22, 2, 5)
    readings = (
        {HERE: counts(port=before), OTHER: counts(port=before)},
        {HERE: counts(port=now), OTHER: counts(port=now)},
    )
    difference = PortCounters(4, 10, 20, None, None)
    assert counted_since(*readings, [Culprit("cs1", HERE)]).ports == {(HERE, 4): difference}
    both = counted_since(*readings, [Culprit("cs1", HERE, next_node="cs2")]).ports
    assert both == {(HERE, 4): difference, (OTHER, 4): difference}


def test_queues_that_dropped_something_are_counted_wherever_they_are() -> None:
    idle, then, now = PortCounters(4, 1, 2, 0, 0), PortCounters(4, 1, 2, 0, 0, 7, 1), PortCounters(4, 1, 2, 0, 0, 9, 4)
    for port, dropped in ((idle, None), (then, None), (now, 3)):
        found = counted_since({HERE: counts(port=then)}, {HERE: counts(port=port)}, ()).ports
        assert [counters.queue_dropped for counters in found.values()] == ([] if dropped is None else [dropped])
    assert counts(port=now).queue_dropped == 4
