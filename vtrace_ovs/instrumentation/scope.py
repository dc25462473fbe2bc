"""Turns a trace request and the inventory into the edge ports where its packets are colored."""

from collections.abc import Callable

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.instrumentation.plan import ArmedTask, SourcePorts
from vtrace_ovs.instrumentation.state import MAX_SLOT
from vtrace_ovs.model.entrances import may_enter, tenant_vnis
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, Port, PortKind, Topology


def armed_task(topology: Topology, slot: int, request: TraceRequest, deadline: float) -> ArmedTask:
    """The task as the data plane sees it; tracing ends at ``deadline`` (Unix seconds).

    Raises UsageError when the scope names nothing in the inventory, RefusedError when the slot does not fit.
    """
    if not 0 <= slot <= MAX_SLOT:
        raise RefusedError(f"slot {slot} does not fit into the state field (0-{MAX_SLOT}); wait until a task ends")
    return ArmedTask(
        slot=slot,
        filter=request.filter,
        sources=source_ports(topology, request),
        packet_count=request.packet_count,
        deadline=deadline,
        vnis=tenant_vnis(topology, request),
        replies=request.answers is not None,
    )


def source_ports(topology: Topology, request: TraceRequest) -> tuple[SourcePorts, ...]:
    """Where the task colors, one entry per bridge that has such ports, in the inventory's order.

    The source VM's port, else the edge ports with the scope's VNI, else every edge port of every VFD. Raises UsageError
    when there is none.
    """
    enters = may_enter(topology, request)
    found = tuple(
        SourcePorts(bridge.id, ofports)
        for bridge in topology.vfds()
        if (
            ofports := frozenset(
                port.ofport for port in bridge.ports if _colors(bridge, port, topology, request, enters)
            )
        )
    )
    if not found:
        scope = request.scope
        vni = "any VNI" if scope.vni is None else f"VNI {scope.vni}"
        where = f"of VM {scope.source_vm!r}" if scope.source_vm is not None else f"in {vni}"
        raise UsageError(f"the inventory has no edge port {where}; `vtrace doctor` shows what it knows")
    return found


def widening(request: TraceRequest, sources: tuple[SourcePorts, ...]) -> str | None:
    """What a request that names no source does to the ports it colors at, as a sentence; None for one that does.

    OVS looks at every field of our match in the port's other traffic as well, so that one megaflow per service becomes
    one per port number (trap T42).
    """
    scope, traffic = request.scope, request.filter
    ports = sum(len(source.ofports) for source in sources)
    named = scope.source_vm is not None or scope.vni is not None or traffic.source is not None
    if named or ports <= 1 or (traffic.source_port is None and traffic.destination_port is None):
        return None
    return (
        f"nothing names a source, so {ports} edge ports were traced, and megaflows of their other traffic looked at "
        "port numbers too meanwhile; --from, --vni or nw_src spares them that"
    )


def _colors(
    bridge: Bridge, port: Port, topology: Topology, request: TraceRequest, enters: Callable[[Port], bool]
) -> bool:
    if port.kind is not PortKind.EDGE or port.ofport <= 0:
        return False
    if request.scope.source_vm is not None:
        source = topology.vm(request.scope.source_vm)
        return source is not None and source.bridge == bridge.id and source.port.ofport == port.ofport
    return enters(port)
