"""Turns an overlay with NAT, or what a controller installs for it, into one whose translations lead nowhere."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.guests import HALTED
from vtrace_ovs.lab.faults.kinds import (
    FaultKind,
    NodeDeed,
    OverlayEdit,
    ProgramEdit,
    Programmed,
    Symptom,
    reworded,
    without_flows,
)
from vtrace_ovs.lab.numbering import CookieKind, kind_of, vrouter
from vtrace_ovs.lab.program import BridgeProgram, FlowLine, GroupLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.model.overlay import NatKind, NatRule, Overlay, OverlayVm, with_tenant
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

NO_PORT = 999


def _unbound(overlay: Overlay, fault: Fault) -> Overlay:
    """Without the rules that lead to the VM alone."""
    vm = victim(overlay, fault)
    tenant = overlay.tenant(vm.tenant)
    kept = tuple(rule for rule in tenant.nat if rule.kind is NatKind.SNAT or rule.balances or not _of(vm, rule))
    if kept == tenant.nat:
        raise UsageError(f"{fault.name.value}: no NAT rule of tenant {tenant.name} leads to {vm.name}")
    return with_tenant(overlay, replace(tenant, nat=kept))


def _of(vm: OverlayVm, rule: NatRule) -> bool:
    return any(address in rule.inside[0] for address in vm.addresses)


def _uncommitted(what: Programmed, fault: Fault) -> BridgeProgram:
    """Connections to the VM's outside address are looked up, but none is ever begun."""
    vm = victim(what.overlay, fault)
    if what.bridge != vrouter(vm.tenant):
        return what.program

    program = what.program
    for address in vm.addresses:
        begins = _begun_by(f"nat(dst={address})")
        program = reworded(reworded(program, begins, "ct(commit,", "ct("), begins, f"nat(dst={address})", "nat")
    return program


def _begun_by(action: str) -> Callable[[FlowLine], bool]:
    return lambda flow: kind_of(flow.cookie) is CookieKind.NAT and action in flow.actions


def _without_buckets(what: Programmed, fault: Fault) -> BridgeProgram:
    return _groups(what, fault, lambda _: "type=select")


def _with_dead_buckets(what: Programmed, fault: Fault) -> BridgeProgram:
    """Each backend counts only while a port is up that does not exist."""
    watching = f"bucket=watch_port:{NO_PORT},"
    return _groups(what, fault, lambda group: group.body.replace("type=select", "type=ff").replace("bucket=", watching))


def _groups(what: Programmed, fault: Fault, edited: Callable[[GroupLine], str]) -> BridgeProgram:
    if what.bridge != vrouter(victim(what.overlay, fault).tenant):
        return what.program
    if not what.program.groups:
        raise UsageError(f"{fault.name.value}: {what.bridge} has no load balancer")
    groups = (GroupLine(group.group_id, edited(group)) for group in what.program.groups)
    return replace(what.program, groups=tuple(groups))


def _backend(overlay: Overlay, fault: Fault) -> OverlayVm:
    """The victim, which must be one that a load balancer gives connections to."""
    vm = victim(overlay, fault)
    rules = [rule for rule in overlay.tenant(vm.tenant).nat if rule.balances]
    behind = {address for rule in rules for prefix in rule.inside for address in prefix}
    if behind.isdisjoint(vm.addresses):
        names = [one.name for one in overlay.tenant(vm.tenant).vms if not behind.isdisjoint(one.addresses)]
        raise UsageError(f"{fault.name.value}: {vm.name} is behind no load balancer; there are: {', '.join(names)}")
    return vm


def _backend_halted(lab: "Lab", fault: Fault) -> None:
    _backend(lab.base, fault)
    HALTED.inject(lab, fault)


def _forgotten(what: Programmed, fault: Fault) -> BridgeProgram:
    """The gateways know the VM no more: the load balancer alone was not told that it is gone."""
    vm = _backend(what.overlay, fault)
    if not what.of_gateway:
        return what.program
    return without_flows(what.program, lambda flow: _leads_to(flow, vm))


def _leads_to(flow: FlowLine, vm: OverlayVm) -> bool:
    kind = kind_of(flow.cookie)
    if kind is CookieKind.NEIGHBOUR:
        return f"set_field:{vm.mac}->eth_dst" in flow.actions
    return kind is CookieKind.FORWARDING and flow.match.endswith(f"dl_dst={vm.mac}")


_BALANCED = Symptom(
    CauseCode.NO_LIVE_BUCKET,
    Disposition.DROPPED,
    "gw1/vr-green",
    source="web1",
    destination="db1",
    topology="nat",
    protocols=(TrafficProtocol.TCP,),
    addresses=(IPv4Address("203.0.113.99"), IPv6Address("2001:db8:c0::99")),
)

_ONE_OF_TWO = replace(_BALANCED, vm="db1", packets=60)
"""Every other connection is lost: there must be some of these among the packets."""

_UNTRANSLATED = Symptom(
    CauseCode.NO_ROUTE,
    Disposition.DROPPED,
    "gw1/vr-green",
    table=10,
    source="web1",
    destination="db1",
    topology="nat",
    vm="db1",
    addresses=(IPv4Address("203.0.113.21"), IPv6Address("2001:db8:c0::21")),
)

FAULTS = {
    FaultName.NAT_UNBOUND: FaultKind(
        "no NAT rule knows the outside address of the destination any more",
        OverlayEdit(_unbound),
        (_UNTRANSLATED,),
    ),
    FaultName.NAT_UNCOMMITTED: FaultKind(
        "the NAT rule of the destination's outside address begins no connections",
        ProgramEdit(_uncommitted),
        (_UNTRANSLATED,),
    ),
    FaultName.LB_WITHOUT_BACKEND: FaultKind(
        "the load balancer of the vRouter has no backends",
        ProgramEdit(_without_buckets),
        (_BALANCED,),
    ),
    FaultName.LB_DEAD_BACKENDS: FaultKind(
        "the load balancer of the vRouter takes all of its backends to be dead",
        ProgramEdit(_with_dead_buckets),
        (replace(_BALANCED, table=5),),
    ),
    FaultName.LB_BACKEND_DOWN: FaultKind(
        "a machine behind the load balancer is halted, and is given connections all the same",
        NodeDeed(_backend_halted, HALTED.heal),
        (replace(_ONE_OF_TWO, code=CauseCode.PORT_DOWN, place="cs2/br-int"),),
    ),
    FaultName.LB_BACKEND_GONE: FaultKind(
        "a machine behind the load balancer is gone, which only the load balancer was not told",
        ProgramEdit(_forgotten),
        (replace(_ONE_OF_TWO, code=CauseCode.UNKNOWN_DESTINATION, table=20),),
    ),
}
