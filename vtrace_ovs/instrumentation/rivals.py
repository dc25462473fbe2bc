"""Turns several tasks into whether packets of one could be taken for another's, and into what each may add."""

from collections.abc import Iterable
from dataclasses import replace

from vtrace_ovs.instrumentation.fragments import task_matches
from vtrace_ovs.instrumentation.outlets import told_apart
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import PortKind, Topology


def mistakable(matches: Iterable[Match], task: ArmedTask, other: ArmedTask, topology: Topology) -> bool:
    """Whether packets of ``task`` that look like this can look like the other's where marked packets arrive."""
    theirs = task_matches(other)
    if not any(match.overlaps(their) for match in matches for their in theirs):
        return False
    inlets = (
        port for bridge in topology.vfds() for port in bridge.ports if port.kind in (PortKind.TUNNEL, PortKind.PATCH)
    )
    return not all(told_apart(port, task, other) for port in inlets)


def with_fragments(task: ArmedTask, others: Iterable[ArmedTask], topology: Topology) -> ArmedTask | None:
    """The task with its fragments; None when another task's packets could be taken for them."""
    wider = replace(task, fragments=True)
    matches = task_matches(wider)
    for other in others:
        same_port = any(task.ofports(source.bridge) & source.ofports for source in other.sources)
        if same_port and any(ours.overlaps(theirs) for ours in matches for theirs in task_matches(other)):
            return None
        if mistakable(matches, wider, other, topology):
            return None
    return wider
