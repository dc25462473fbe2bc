from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.diagnosis.counted_datapath import CountedTraffic, lost_between
from vtrace_ovs.model.counting import Interval, Loss
from vtrace_ovs.model.datapath import Contradiction, DatapathReading
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Topology
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit
from vtrace_ovs.session.alternation import Alternation, Closed
from vtrace_ovs.session.auditing import AGAIN, audit
from vtrace_ovs.session.commands import ReadDatapaths
from vtrace_ovs.session.runs import TaskRun

A, B = BridgeId("s1", "br0"), BridgeId("s2", "br0")
UDP = Filter("udp", 17, source=IPv4Network("10.0.0.1/32"))
TRAFFIC = CountedTraffic(
    Topology(
        (Node("s1", "", (IPv4Address("192.0.2.1"),)), Node("s2", "", (IPv4Address("192.0.2.2"),))),
        tuple(Bridge(bridge, 1, BridgeRole.VSWITCH, (), ManagementSocket("")) for bridge in (A, B)),
    ),
    (UDP,),
    frozenset({3, 7}),
)
LOST = Loss(5, lost_between(Culprit("s1", A, next_node="s2", next_bridge=B), str(B), Confidence.INFERRED))
START, PATIENCE = 100.0, 5.0


@pytest.fixture
def run() -> TaskRun:
    return TaskRun(Task(1, TraceRequest(UDP, interval=1), TaskState.ARMED, 0.0), 0)


@pytest.fixture
def alternation(run: TaskRun) -> Alternation:
    assert run.alternation is not None
    return run.alternation


def close(alternation: Alternation, *losses: Loss) -> float:
    """An interval of a second; when it was closed."""
    began = START + len(alternation.closed)
    alternation.closed.append(Closed(Interval(began, began + 1, 100, losses=losses), began + 2))
    return began + 2


def tell(run: TaskRun, asked: tuple[object, ...], at: float, *stale: Contradiction) -> None:
    (command,) = asked
    assert isinstance(command, ReadDatapaths)
    run.suspicions.take(tuple(DatapathReading(one, at, 1, 0, stale) for _, one in command.questions))


def codes(alternation: Alternation) -> list[list[CauseCode]]:
    return [[loss.verdict.code for loss in closed.interval.losses] for closed in alternation.closed]


def test_where_nothing_is_lost_no_datapath_is_asked(run: TaskRun, alternation: Alternation) -> None:
    assert audit(run, alternation, TRAFFIC, close(alternation), PATIENCE) == ()


def test_what_a_datapath_tells_is_of_the_intervals_it_was_asked_about(run: TaskRun, alternation: Alternation) -> None:
    close(alternation, LOST)
    at = close(alternation, LOST)
    asked = audit(run, alternation, TRAFFIC, at, PATIENCE)
    later = close(alternation, LOST)
    assert audit(run, alternation, TRAFFIC, later, PATIENCE) == (), "one thing at a time"
    stale = Contradiction("in_port(6)", "drop", "3", ("port 3",), used_at=at, outer=False)
    tell(run, asked, at, stale)
    assert audit(run, alternation, TRAFFIC, later, PATIENCE) == (), "not so soon again"
    assert codes(alternation) == [[CauseCode.STALE_MEGAFLOW]] * 2 + [[CauseCode.UNDERLAY_LOSS]]
    tell(run, audit(run, alternation, TRAFFIC, at + AGAIN, PATIENCE), at + AGAIN)
    assert audit(run, alternation, TRAFFIC, at + AGAIN, PATIENCE) == ()
    assert codes(alternation) == [[CauseCode.STALE_MEGAFLOW]] * 2 + [[CauseCode.UNDERLAY_LOSS]]
    last = alternation.closed[-1].interval.losses[0].verdict
    assert last.confidence is Confidence.CORROBORATED
    assert audit(run, alternation, TRAFFIC, at + 3 * AGAIN, PATIENCE) == (), "everything is known"
