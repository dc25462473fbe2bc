"""Turns tasks that must not color any more into programs that end it at once, before any transition."""

from collections.abc import Iterable, Iterator

from vtrace_ovs.instrumentation.changes import disarm
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.commands import UNAWAITED, Program
from vtrace_ovs.session.runs import TaskRun


def brakes(fleet: Fleet, runs: Iterable[TaskRun]) -> Iterator[Program]:
    """Sources out, wherever they are. The next transition makes sure of it.

    Of tasks that are being armed, those not sent yet come nevertheless, and go with that transition.
    """
    for run in runs:
        for source in run.traffic.sources if run.gathering else ():
            state = fleet.states.get(source.bridge)
            if state is not None and state.up:
                yield Program(source.bridge, UNAWAITED, (disarm(run.slot),))
