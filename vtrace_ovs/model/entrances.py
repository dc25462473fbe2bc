"""Turns a trace request and the inventory into the VNIs of its tenant, and the ports where its packets may enter."""

from collections.abc import Callable
from dataclasses import dataclass

from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId, Port, PortKind, Topology


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What the inventory knows of a filter's addresses that leaves fewer ports where its packets may enter.

    ``reason`` is half a sentence, ``admits`` tells whether an edge port is one of those.
    """

    reason: str
    admits: Callable[[Port], bool]


def tenant_vnis(topology: Topology, request: TraceRequest) -> frozenset[int] | None:
    """All VNIs of the tenant this request is about, or None when the inventory does not say."""
    scope = request.scope
    named = scope.source_vm or (scope.destination_vm if request.answers is not None else None)
    vni = scope.vni
    if vni is None and named is not None:
        vm = topology.vm(named)
        vni = vm.port.vni if vm is not None else None
    return None if vni is None else topology.vnis_of(vni)


def entrances(topology: Topology, request: TraceRequest) -> tuple[tuple[BridgeId, Port], ...]:
    """The ports where the request's packets may enter: the source VM's, or every edge port they ``may_enter`` by."""
    vm = None if request.scope.source_vm is None else topology.vm(request.scope.source_vm)
    if vm is not None:
        return ((vm.bridge, vm.port),)
    enters = may_enter(topology, request)
    edges = ((bridge.id, port) for bridge in topology.vfds() for port in bridge.ports if port.kind is PortKind.EDGE)
    return tuple((bridge, port) for bridge, port in edges if enters(port))


def may_enter(topology: Topology, request: TraceRequest) -> Callable[[Port], bool]:
    """Whether the request's packets may enter by an edge port, as far as VNIs and addresses tell.

    By ports of the scope's VNI, and of those by the ones a ``narrowing`` leaves. Replies may come from any subnet of
    the tenant, and by ports nobody gave a VNI.
    """
    narrowed = narrowing(topology, request)
    if narrowed is not None:
        return narrowed.admits
    return _in_scope(topology, request)


def narrowing(topology: Topology, request: TraceRequest) -> Narrowing | None:
    """To the VMs whose address a filter's source is; without a source, to the tenant whose address its destination is.

    None where the inventory does not know, where the scope says more (a source VM), or does not want it (``wide``).
    What answers may come from elsewhere than the filter says, from behind NAT.
    """
    scope, traffic = request.scope, request.filter
    if scope.wide or scope.source_vm is not None or request.answers is not None:
        return None
    if traffic.source is not None:
        in_scope = _in_scope(topology, request)
        owners = tuple(port for port in _owners(topology, traffic.source) if in_scope(port))
        names = " and ".join(port.vm or port.name for port in owners)
        reason = f"{traffic.source.network_address} is the address of {names}"
        return Narrowing(reason, lambda port: port in owners) if owners else None
    if traffic.destination is None or scope.vni is not None:
        return None
    tenants = {port.tenant for port in _owners(topology, traffic.destination)}
    tenant = next(iter(tenants), None)
    if tenant is None or len(tenants) > 1:
        return None
    reason = f"{traffic.destination.network_address} is an address of tenant {tenant}"
    return Narrowing(reason, lambda port: port.tenant in {None, tenant})


def _in_scope(topology: Topology, request: TraceRequest) -> Callable[[Port], bool]:
    if request.answers is not None:
        vnis = tenant_vnis(topology, request)
        return lambda port: vnis is None or port.vni is None or port.vni in vnis
    vni = request.scope.vni
    return lambda port: vni is None or port.vni == vni


def _owners(topology: Topology, network: IPNetwork) -> tuple[Port, ...]:
    """The edge ports whose VM has this address; none for a network of several."""
    if network.num_addresses > 1:
        return ()
    edges = (port for bridge in topology.vfds() for port in bridge.ports if port.kind is PortKind.EDGE)
    return tuple(port for port in edges if network.network_address in port.addresses)
