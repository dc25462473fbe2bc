"""Turns tasks that must not color any more into programs that end it at once, before any transition."""

from collections.abc import Iterable, Iterator

from vtrace_ovs.instrumentation.changes import disarm
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.commands import UNAWAITED, Program
from vtrace_ovs.session.runs import Stage, TaskRun


def brakes(fleet: Fleet, runs: Iterable[TaskRun]) -> Iterator[Program]:
    """Sources out, wherever they are. The next transition makes sure of it.

    Tasks that are being armed end when that is over: their sources may not have been sent yet.
    """
    for run in runs:
        for source in run.traffic.sources if run.stage is Stage.COLLECTING else ():
            state = fleet.states.get(source.bridge)
            if state is not None and state.up:
                yield Program(source.bridge, UNAWAITED, (disarm(run.slot),))
