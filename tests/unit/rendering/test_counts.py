import json
from dataclasses import replace

from vtrace_ovs.model.counting import Counted, CountReport, Interval, Loss, VfdCount
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict
from vtrace_ovs.rendering.counts import counts_document, counts_lines

A, B = BridgeId("s1", "br0"), BridgeId("s2", "br0")
WIRE = Verdict(
    Disposition.LOST_ON_WIRE,
    CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_LOSS,
    Confidence.CORROBORATED,
    "Lost between s1/br0 and s2/br0.",
    "Yours is lost in the physical network.",
    "Check the path.",
    culprit=Culprit("s1", A, next_node="s2", next_bridge=B),
)
AT = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def interval(second: int, *, lost: int = 0, unknown: str | None = None) -> Interval:
    vfds = (VfdCount(A, 100, 100, 0, 0), VfdCount(B, 100 - lost, 0, 100 - lost, 3))
    losses = (Loss(lost, WIRE),) if lost else ()
    return Interval(AT + second, AT + second + 1, 100, vfds, losses, unknown)


def report(*intervals: Interval) -> CountReport:
    return CountReport(7, 1, WIRE, Counted(intervals, other_dscp=2), ("a note",))


def screen(found: CountReport, verbose: int = 0) -> str:
    return "\n".join(line.shown for line in counts_lines(found, verbose))


def test_the_verdict_comes_first_then_every_vfd_in_sum_and_the_intervals() -> None:
    shown = screen(report(interval(0), interval(1, lost=2), interval(2, unknown="s2/br0 came up")))
    lines = shown.splitlines()
    assert lines[0].startswith("✗ LOST_ON_WIRE between s1/br0 and s2/br0: underlay-loss")
    assert "300 packets counted, 2 of them lost, in 3 intervals of 1 s" in shown
    assert "For the tenant: Yours is lost in the physical network." in shown
    assert "s2/br0        298          0        289          9" in shown
    assert "2023-11-14 22:13:20.000        100        0" in lines
    assert "2023-11-14 22:13:21.000        100        2" in lines
    assert "    2: underlay-loss (physical_network) between s1/br0 and s2/br0" in lines
    assert "2023-11-14 22:13:22.000        100        ?" in lines
    assert "    not all can be told: s2/br0 came up" in lines
    assert "2 packets had a DSCP that is not counted." in shown
    assert "Note: a note" in lines


def test_of_many_intervals_those_that_lost_are_shown_and_the_others_counted() -> None:
    many = report(*(interval(second, lost=int(second == 30)) for second in range(60)))
    assert "59 more without loss (-v shows them)" in screen(many)
    assert "22:13:50.000" in screen(many)
    assert "22:13:51.000" not in screen(many)
    assert "22:13:51.000" in screen(many, 1)


def test_what_verdicts_rest_on_is_a_detail() -> None:
    seen = replace(WIRE, evidence=(Evidence("All datapath flows do what the tables say.", observed=True),))
    interval = Interval(AT, AT + 1, 100, losses=(Loss(2, seen),))
    assert "  observed  All datapath flows do what the tables say." in screen(report(interval), 1)
    assert "Evidence" not in screen(report(interval))


def test_the_document_has_places_and_intervals() -> None:
    task = Task(7, TraceRequest(Filter("udp"), interval=1), TaskState.DONE, AT)
    told = json.loads(counts_document(report(interval(0), interval(1, lost=2)), task))
    assert (told["task"]["interval"], told["packets"], told["lost"], told["other_dscp"]) == (1, 200, 2, 2)
    (place,) = told["places"]
    assert (place["packets"], place["verdict"]["code"]) == (2, "underlay-loss")
    assert place["intervals"] == [[AT + 1, AT + 2]]
    assert told["intervals"][1]["losses"] == [
        {"packets": 2, "code": "underlay-loss", "sentence": "Lost between s1/br0 and s2/br0."}
    ]
    assert told["intervals"][0]["vfds"][0] == {"bridge": "s1/br0", "in": 100, "tunnel": 100, "ended": 0, "dropped": 0}
