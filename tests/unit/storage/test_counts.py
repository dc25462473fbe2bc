from dataclasses import replace

from vtrace_ovs.model.counting import Counted, CountReport, Interval, Loss, VfdCount
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict
from vtrace_ovs.storage.store import Store

LOST = Verdict(
    Disposition.LOST_ON_WIRE,
    CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_LOSS,
    Confidence.CORROBORATED,
    "operator",
    "tenant",
)


def test_what_was_counted_comes_back_as_it_was_and_the_last_replaces_the_first(
    store: Store, request_for_tcp: TraceRequest
) -> None:
    task = store.add_task(replace(request_for_tcp, interval=2), at=1000.0)
    here = VfdCount(BridgeId("s1", "br0"), 10, 9, 1, 1)
    interval = Interval(1.0, 2.0, 10, (here,), (Loss(1, LOST),), "not all")
    report = CountReport(task.id, 2, LOST, Counted((interval,), other_dscp=3), ("note",))
    assert store.counts(task.id) is None
    store.save_counts(replace(report, notes=()))
    store.save_counts(report)
    assert store.counts(task.id) == report
    found = store.task(task.id)
    assert found is not None
    assert found.request.interval == 2


def test_tasks_that_count_are_no_traces_for_the_statistics_of_usage(
    store: Store, request_for_tcp: TraceRequest
) -> None:
    store.add_task(replace(request_for_tcp, interval=2), at=1000.0)
    assert store.outcomes() == ()
