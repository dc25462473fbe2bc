"""Turns requests and freshly read bridges into the plans that would be installed, without installing anything."""

from collections.abc import Mapping, Sequence

from vtrace_ovs.filters import canonical_text
from vtrace_ovs.instrumentation.aliases import with_aliases
from vtrace_ovs.instrumentation.marks import MarkPlan, code_points_in_use
from vtrace_ovs.instrumentation.plan import BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.scope import armed_task
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId, Topology


def plan_all(
    topology: Topology,
    tables: Mapping[BridgeId, BridgeTables],
    requests: Sequence[TraceRequest],
    settings: Settings,
    at: float,
) -> tuple[BridgePlan, ...]:
    """The plan of every VFD whose tables were read. Raises UsageError and RefusedError as arming would."""
    tasks = [armed_task(topology, slot, request, at + request.trace_time) for slot, request in enumerate(requests)]
    for slot, task in enumerate(tasks):
        others = (*tasks[:slot], *tasks[slot + 1 :])
        tasks[slot] = with_aliases(task, others, topology, tables.values(), canonical_text)
    in_use = frozenset[int]().union(*(code_points_in_use(read) for read in tables.values()))
    scene = Scene(topology, frozenset(tables), MarkPlan.of(in_use=in_use))
    return tuple(
        plan_bridge(bridge, tables[bridge.id], tuple(tasks), scene, settings=settings, now=at)
        for bridge in topology.vfds()
        if bridge.id in tables
    )
