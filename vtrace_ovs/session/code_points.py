"""Turns a DSCP that traced traffic turned out to carry into code points for it, and gives back what tenants send."""

from collections.abc import Iterable

from vtrace_ovs.session.planning import Planning
from vtrace_ovs.session.runs import TaskRun


def make_room_for(dscp: int | None, runs: Iterable[TaskRun], planning: Planning) -> bool:
    """Traffic of these tasks carries a DSCP no series exists for yet: make one, if codes are left.

    A tenant that sends one of our code points itself gets it back for good: another code takes its place.
    Returns whether bridges must carry other marks from now on.
    """
    whose, marks = tuple(runs), planning.marks
    if not whose or dscp is None or dscp in marks.series:
        return False
    planning.sent_by_tenants |= {dscp}
    yielded = marks.without(dscp)
    wider = None if yielded is None else yielded.with_series(dscp)
    for run in whose:
        if marks.mark(dscp) is not None:
            run.note(f"tenants send DSCP {dscp}, a code point of ours: packets may have lost it until we gave it back")
        if wider is None:
            run.note(f"packets with DSCP {dscp} were not traced: no code points are left to carry their marks")
    planning.marks = wider or yielded or marks
    return planning.marks != marks
