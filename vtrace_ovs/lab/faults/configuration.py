"""Turns an overlay into one whose configuration leads the traffic nowhere."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, OverlayEdit, Symptom
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.overlay import Overlay, OverlayRoute, with_tenant
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab


def _without_route(overlay: Overlay, fault: Fault) -> Overlay:
    tenant = overlay.tenant(victim(overlay, fault).tenant)
    if all(route.prefix != fault.prefix for route in tenant.routes):
        raise UsageError(f"{fault.name.value}: tenant {tenant.name} has no route {fault.prefix}")
    routes = tuple(route for route in tenant.routes if route.prefix != fault.prefix)
    return with_tenant(overlay, replace(tenant, routes=routes))


def _with_blackhole(overlay: Overlay, fault: Fault) -> Overlay:
    """With the route to the fault's prefix made a blackhole, or a new one that is."""
    tenant = overlay.tenant(victim(overlay, fault).tenant)
    if fault.prefix is None:
        raise UsageError(f"{fault.name.value}: to which prefix?")
    hit = [route for route in tenant.routes if route.prefix == fault.prefix]
    routes = tuple(route for route in tenant.routes if route.prefix != fault.prefix)
    number = hit[0].number if hit else max((route.number for route in routes), default=0) + 1
    return with_tenant(overlay, replace(tenant, routes=(*routes, OverlayRoute(number, fault.prefix, None))))


def _unanswered(overlay: Overlay, fault: Fault) -> Overlay:
    vm = victim(overlay, fault)
    tenant = overlay.tenant(vm.tenant)
    vms = tuple(replace(known, answered=False) if known.name == vm.name else known for known in tenant.vms)
    return with_tenant(overlay, replace(tenant, vms=vms))


def _forget_neighbours(lab: "Lab", fault: Fault) -> None:
    """Of IPv6: the lab's VMs are told them, so that nobody asks, and nobody in the overlay answers who does."""
    lab.vm(victim(lab.base, fault).name).run("ip", "-6", "neigh", "flush", "dev", VM_INTERFACE, "nud", "permanent")


def _tell_neighbours(lab: "Lab", fault: Fault) -> None:
    lab.configure_vm(victim(lab.base, fault))


FAULTS = {
    FaultName.NO_ROUTE: FaultKind(
        "the tenant's vRouter has no route to the destination's subnet",
        OverlayEdit(_without_route),
        (Symptom(CauseCode.NO_ROUTE, Disposition.DROPPED, "gw1/vr-blue", table=10),),
        selective=True,
        places=("vm", "prefix"),
    ),
    FaultName.BLACKHOLE_ROUTE: FaultKind(
        "the route to the destination's subnet is a blackhole",
        OverlayEdit(_with_blackhole),
        (Symptom(CauseCode.BLACKHOLE_ROUTE, Disposition.DROPPED, "gw1/vr-blue", table=10),),
        selective=True,
        places=("vm", "prefix"),
    ),
    FaultName.NEIGHBOUR_UNRESOLVED: FaultKind(
        "nobody answers the sender's ARP requests and neighbour solicitations",
        OverlayEdit(_unanswered, NodeDeed(_forget_neighbours, _tell_neighbours)),
        (Symptom(CauseCode.NEIGHBOUR_UNRESOLVED, Disposition.UNSEEN, None),),
        of_sender=True,
    ),
}
