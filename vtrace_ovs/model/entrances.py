"""Turns a trace request and the inventory into the VNIs of its tenant, and of the ports where its packets may enter."""

from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Topology


def tenant_vnis(topology: Topology, request: TraceRequest) -> frozenset[int] | None:
    """All VNIs of the tenant this request is about, or None when the inventory does not say."""
    scope = request.scope
    named = scope.source_vm or (scope.destination_vm if request.answers is not None else None)
    vni = scope.vni
    if vni is None and named is not None:
        vm = topology.vm(named)
        vni = vm.port.vni if vm is not None else None
    return None if vni is None else topology.vnis_of(vni)


def entry_vnis(topology: Topology, request: TraceRequest) -> frozenset[int] | None:
    """The VNIs of the edge ports where the request's packets may enter; None means any.

    The scope's own; replies may come from any subnet of the tenant.
    """
    if request.answers is not None:
        return tenant_vnis(topology, request)
    return None if request.scope.vni is None else frozenset({request.scope.vni})
