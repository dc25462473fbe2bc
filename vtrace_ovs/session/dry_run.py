"""Turns requests and freshly read bridges into the plans that would be installed, without installing anything."""

from collections.abc import Mapping, Sequence

from vtrace_ovs.instrumentation.marks import MarkPlan, code_points_in_use
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.scope import armed_task
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.session.reaching import Reaching, read_first


def to_read(
    topology: Topology, tables: Mapping[BridgeId, BridgeTables], requests: Sequence[TraceRequest], at: float
) -> frozenset[BridgeId]:
    """The VFDs that are to be read before the plans can be made, given those that were. Raises as ``plan_all``."""
    _, scope = _spread(topology, tables, requests, at)
    return read_first([bridge.id for bridge in topology.vfds()], scope).difference(tables)


def plan_all(
    topology: Topology,
    tables: Mapping[BridgeId, BridgeTables],
    requests: Sequence[TraceRequest],
    settings: Settings,
    at: float,
) -> tuple[BridgePlan, ...]:
    """The plan of every VFD that was read and that packets may come to.

    Raises UsageError and RefusedError as arming would.
    """
    tasks, scope = _spread(topology, tables, requests, at)
    in_use = frozenset[int]().union(*(code_points_in_use(read) for read in tables.values()))
    scene = Scene(topology, scope.intersection(tables), MarkPlan.of(in_use=in_use))
    return tuple(
        plan_bridge(bridge, tables[bridge.id], tasks, scene, settings=settings, now=at)
        for bridge in topology.vfds()
        if bridge.id in scene.armed
    )


def _spread(
    topology: Topology, tables: Mapping[BridgeId, BridgeTables], requests: Sequence[TraceRequest], at: float
) -> tuple[tuple[ArmedTask, ...], frozenset[BridgeId]]:
    """The tasks as they are behind NAT, and the VFDs their packets may come to."""
    tasks = [armed_task(topology, slot, request, at + request.trace_time) for slot, request in enumerate(requests)]
    found = Reaching().scopes(topology, tasks, (), tables)
    return found, frozenset[BridgeId]().union(*(task.shares for task in found))
