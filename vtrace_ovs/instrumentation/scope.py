"""Turns a trace request and the inventory into the edge ports where its packets are colored."""

from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.instrumentation.plan import ArmedTask, SourcePorts
from vtrace_ovs.model.entrances import may_enter, narrowing, tenant_vnis
from vtrace_ovs.model.task import MOST_TASKS, TraceRequest
from vtrace_ovs.model.topology import Bridge, Port, PortKind, Topology


def armed_task(topology: Topology, slot: int, request: TraceRequest, deadline: float) -> ArmedTask:
    """The task as the data plane sees it; tracing ends at ``deadline`` (Unix seconds).

    Raises UsageError when the scope names nothing in the inventory, RefusedError when the slot does not fit.
    """
    if not 0 <= slot < MOST_TASKS:
        raise RefusedError(
            f"slot {slot} does not fit into the state field (0-{MOST_TASKS - 1}); wait until a task ends"
        )
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
    colors = _coloring(topology, request)
    found = tuple(
        SourcePorts(bridge.id, ofports)
        for bridge in topology.vfds()
        if (ofports := frozenset(port.ofport for port in bridge.ports if port.ofport > 0 and colors(bridge, port)))
    )
    if not found:
        scope = request.scope
        vni = "any VNI" if scope.vni is None else f"VNI {scope.vni}"
        where = f"of VM {scope.source_vm!r}" if scope.source_vm is not None else f"in {vni}"
        raise UsageError(f"the inventory has no edge port {where}; `vtrace doctor` shows what it knows")
    return found


def refuse_widening(topology: Topology, request: TraceRequest) -> None:
    """Raise RefusedError for a request that names no source and would be noticed at many ports, unless it is ``wide``.

    OVS looks at every field of our match in the port's other traffic as well, so that one megaflow per service becomes
    one per port number, and one per subnet one per address (trap T42, idea N7).
    """
    ports = _widened(topology, request)
    if ports and not request.scope.wide:
        raise RefusedError(
            f"{request.filter.text} names no source, so megaflows of other traffic would multiply at {ports} edge "
            "ports: name one (--from, --vni or nw_src), or accept that with --wide"
        )


def scope_note(topology: Topology, request: TraceRequest) -> str | None:
    """Where a request was narrowed to fewer ports than it names, or what ``wide`` does, in a sentence; else None."""
    ports = _widened(topology, request)
    if ports:
        return (
            f"looked for at {ports} edge ports (--wide), whose other traffic's megaflows look at the filter's "
            "addresses and port numbers too meanwhile"
        )
    narrowed = narrowing(topology, request)
    if narrowed is None:
        return None
    wide = replace(request, scope=replace(request.scope, wide=True))
    at, everywhere = _ports(topology, request), _ports(topology, wide)
    found = f"{narrowed.reason}: looked for at {at} edge port{'s' if at > 1 else ''} of {everywhere} (all with --wide)"
    return found if at < everywhere else None


def _widened(topology: Topology, request: TraceRequest) -> int:
    """How many ports nobody named have other traffic that would be looked at by more than protocol and DSCP."""
    scope, traffic = request.scope, request.filter
    by_source = traffic.source is not None and traffic.source.prefixlen > 0
    named = by_source or scope.source_vm is not None or scope.vni is not None or request.answers is not None
    looked_at = (traffic.destination, traffic.source_port, traffic.destination_port)
    if named or all(one is None for one in looked_at) or narrowing(topology, request) is not None:
        return 0
    ports = _ports(topology, request)
    return ports if ports > 1 else 0


def _ports(topology: Topology, request: TraceRequest) -> int:
    return sum(len(source.ofports) for source in source_ports(topology, request))


def _coloring(topology: Topology, request: TraceRequest) -> Callable[[Bridge, Port], bool]:
    """Whether the request's packets are colored at a port of a bridge."""
    if request.scope.source_vm is None:
        enters = may_enter(topology, request)
        return lambda _, port: port.kind is PortKind.EDGE and enters(port)
    source = topology.vm(request.scope.source_vm)
    return lambda bridge, port: source is not None and source.bridge == bridge.id and source.port.ofport == port.ofport
