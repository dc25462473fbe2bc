"""Turns a trace request and the inventory into the VNIs of its tenant, and the ports where its packets may enter."""

from collections.abc import Callable

from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Port, Topology


def tenant_vnis(topology: Topology, request: TraceRequest) -> frozenset[int] | None:
    """All VNIs of the tenant this request is about, or None when the inventory does not say."""
    scope = request.scope
    named = scope.source_vm or (scope.destination_vm if request.answers is not None else None)
    vni = scope.vni
    if vni is None and named is not None:
        vm = topology.vm(named)
        vni = vm.port.vni if vm is not None else None
    return None if vni is None else topology.vnis_of(vni)


def may_enter(topology: Topology, request: TraceRequest) -> Callable[[Port], bool]:
    """Whether the request's packets may enter by an edge port, as far as VNIs tell.

    By ports of the scope's VNI. Replies may come from any subnet of the tenant, and by ports nobody gave a VNI.
    """
    if request.answers is not None:
        vnis = tenant_vnis(topology, request)
        return lambda port: vnis is None or port.vni is None or port.vni in vnis
    vni = request.scope.vni
    return lambda port: vni is None or port.vni == vni
