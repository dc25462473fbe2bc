"""Turns what senders of traced ports send beside colored packets (questions, fragments) into what tasks know of it."""

from collections.abc import Iterator

from vtrace_ovs.filters import accepts
from vtrace_ovs.instrumentation.rivals import with_fragments
from vtrace_ovs.model.oxm import IN_PORT
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.session.events import PacketInReceived
from vtrace_ovs.session.runs import TaskRun


def listeners(event: PacketInReceived, runs: tuple[TaskRun, ...]) -> Iterator[TaskRun]:
    """The tasks that color at the port a packet came by."""
    port = dict(event.packet_in.metadata).get(IN_PORT, 0)
    return (run for run in runs if run.gathering and port in run.traffic.ofports(event.bridge))


def hear(run: TaskRun, event: PacketInReceived, runs: tuple[TaskRun, ...], topology: Topology) -> bool:
    """A sender asks for a neighbour, or sends a fragment. Whether the task needs other flows from now on."""
    if event.headers.question is not None:
        run.hear(event.headers.question, event.at)
    return widen(run, event.headers, runs, topology)


def widen(run: TaskRun, headers: Headers, runs: tuple[TaskRun, ...], topology: Topology) -> bool:
    """Color fragments from now on, if this is a first one of the task's; whether it is news."""
    if run.traffic.fragments or not accepts(run.task.request.filter, headers):
        return False
    others = (other.traffic for other in runs if other is not run and other.instrumented)
    wider = with_fragments(run.traffic, others, topology)
    if wider is None:
        run.note("fragments of this traffic were not traced: those of another task look the same")
        return False
    run.note("this traffic has fragments; those before the first one was seen were not traced")
    run.armed_traffic = wider
    return True
