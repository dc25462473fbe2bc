"""Turns an Overlay and a fault's name into the Overlay with that fault in it.

Faults of configuration are edits of the overlay, so that a heal is exact: the lab installs the difference, back and
forth. ``vswitchd-dead`` and ``underlay-link-down`` are no configuration; ``injection`` does them to the nodes.
"""

from dataclasses import dataclass, replace
from enum import Enum

from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.overlay import (
    Direction,
    Overlay,
    OverlayRoute,
    OverlayVm,
    RateLimit,
    RuleAction,
    SecurityGroup,
    SecurityRule,
    Tenant,
)


class FaultName(Enum):
    """The faults a lab can have. ``not-sent`` changes nothing: the traffic is never sent."""

    SECURITY_DENY = "security-deny"
    DEFAULT_DENY = "default-deny"
    NO_ROUTE = "no-route"
    BLACKHOLE_ROUTE = "blackhole-route"
    RATE_LIMIT = "rate-limit"
    VSWITCHD_DEAD = "vswitchd-dead"
    UNDERLAY_LINK_DOWN = "underlay-link-down"
    NEIGHBOUR_UNRESOLVED = "neighbour-unresolved"
    NOT_SENT = "not-sent"
    REPLY_DENY = "reply-deny"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and where it strikes. What is None is chosen by ``resolved``.

    ``vm`` is the destination, for ``rate-limit``, ``reply-deny`` and ``neighbour-unresolved`` the sender. ``rate`` is
    in packets/s.
    """

    name: FaultName
    vm: str | None = None
    protocol: str | None = None
    port: int | None = None
    prefix: IPNetwork | None = None
    rate: int | None = None
    server: str | None = None
    link: str | None = None


_OF_SENDERS = frozenset({FaultName.RATE_LIMIT, FaultName.REPLY_DENY, FaultName.NEIGHBOUR_UNRESOLVED})
DEFAULT_PROTOCOL = "tcp"
DEFAULT_PORT = 443
DEFAULT_RATE = 1


def fault_named(name: str) -> FaultName:
    """The fault of this name. Raises UsageError that lists them."""
    try:
        return FaultName(name)
    except ValueError as unknown:
        names = ", ".join(fault.value for fault in FaultName)
        raise UsageError(f"no fault {name!r}; there are: {names}") from unknown


def resolved(fault: Fault, overlay: Overlay) -> Fault:
    """The fault with every place it needs filled in. Raises UsageError for a place that does not exist.

    By default the victim is the last VM of the first tenant (for faults of the sender its first VM), traffic to TCP
    port 443; the route is that to the victim's subnet, the server the victim's, the link the first of the underlay.
    """
    vms = overlay.tenants[0].vms
    default_vm = vms[0] if fault.name in _OF_SENDERS else vms[-1]
    names = {vm.name: vm for vm in overlay.vms()}
    vm = names.get(fault.vm or default_vm.name)
    if vm is None:
        raise UsageError(f"no VM {fault.vm!r}; there are: {', '.join(names)}")
    links = ["-".join(link) for link in overlay.underlay.links]
    servers = [server.name for server in overlay.servers]
    if fault.server is not None and fault.server not in servers:
        raise UsageError(f"no server {fault.server!r}; there are: {', '.join(servers)}")
    if fault.link is not None and fault.link not in links:
        raise UsageError(f"no underlay link {fault.link!r}; there are: {', '.join(links)}")
    protocol = fault.protocol or DEFAULT_PROTOCOL
    return replace(
        fault,
        vm=vm.name,
        protocol=protocol,
        port=None if protocol == "icmp" else fault.port or DEFAULT_PORT,
        prefix=fault.prefix or overlay.subnet_of(vm).prefix,
        rate=fault.rate or DEFAULT_RATE,
        server=fault.server or vm.server,
        link=fault.link or (links[0] if links else None),
    )


def with_fault(overlay: Overlay, fault: Fault) -> Overlay:
    """The overlay with one resolved fault. Raises UsageError when there is nothing to break."""
    if fault.vm is None:
        raise UsageError(f"fault {fault.name.value} is not resolved")
    vm = overlay.vm(fault.vm)
    match fault.name:
        case FaultName.SECURITY_DENY:
            return _with_deny(overlay, vm, fault)
        case FaultName.REPLY_DENY:
            return _with_deny(overlay, vm, replace(fault, port=None))
        case FaultName.DEFAULT_DENY:
            return _without_permit(overlay, vm, fault)
        case FaultName.NO_ROUTE:
            return _with_route(overlay, vm, fault, keep=False)
        case FaultName.BLACKHOLE_ROUTE:
            return _with_route(overlay, vm, fault, keep=True)
        case FaultName.RATE_LIMIT:
            limit = RateLimit(vm.name, fault.rate or DEFAULT_RATE, burst=1)
            others = tuple(known for known in overlay.rate_limits if known.vm != vm.name)
            return replace(overlay, rate_limits=(*others, limit))
        case FaultName.NEIGHBOUR_UNRESOLVED:
            tenant = overlay.tenant(vm.tenant)
            vms = tuple(replace(known, answered=False) if known.name == vm.name else known for known in tenant.vms)
            return _with_tenant(overlay, replace(tenant, vms=vms))
        case FaultName.VSWITCHD_DEAD | FaultName.UNDERLAY_LINK_DOWN | FaultName.NOT_SENT:
            return overlay


def _with_deny(overlay: Overlay, vm: OverlayVm, fault: Fault) -> Overlay:
    group = _first_group(overlay, vm)
    number = max((rule.number for rule in group.rules), default=0) + 1
    rule = SecurityRule(number, Direction.INGRESS, RuleAction.DENY, fault.protocol, fault.port)
    return _with_group(overlay, replace(group, rules=(*group.rules, rule)))


def _without_permit(overlay: Overlay, vm: OverlayVm, fault: Fault) -> Overlay:
    """Without every ingress rule of the VM's groups that permits this traffic."""
    removed = 0
    for name in vm.groups:
        group = overlay.tenant(vm.tenant).group(name)
        kept = tuple(rule for rule in group.rules if not _permits(rule, fault))
        removed += len(group.rules) - len(kept)
        overlay = _with_group(overlay, replace(group, rules=kept))
    if not removed:
        raise UsageError(f"default-deny: no rule permits {fault.protocol} port {fault.port} to {vm.name} anyway")
    return overlay


def _permits(rule: SecurityRule, fault: Fault) -> bool:
    return (
        rule.direction is Direction.INGRESS
        and rule.action is RuleAction.PERMIT
        and rule.protocol in {None, fault.protocol}
        and rule.port in {None, fault.port}
    )


def _with_route(overlay: Overlay, vm: OverlayVm, fault: Fault, *, keep: bool) -> Overlay:
    """Without the route to the fault's prefix, or with that route made a blackhole."""
    tenant = overlay.tenant(vm.tenant)
    hit = [route for route in tenant.routes if route.prefix == fault.prefix]
    if not hit and not keep:
        raise UsageError(f"{fault.name.value}: tenant {tenant.name} has no route {fault.prefix}")
    routes = tuple(route for route in tenant.routes if route.prefix != fault.prefix)
    if keep and fault.prefix is not None:
        number = hit[0].number if hit else max((route.number for route in routes), default=0) + 1
        routes = (*routes, OverlayRoute(number, fault.prefix, None))
    return _with_tenant(overlay, replace(tenant, routes=routes))


def _first_group(overlay: Overlay, vm: OverlayVm) -> SecurityGroup:
    if not vm.groups:
        raise UsageError(f"security-deny: {vm.name} has no security group")
    return overlay.tenant(vm.tenant).group(vm.groups[0])


def _with_group(overlay: Overlay, group: SecurityGroup) -> Overlay:
    tenant = overlay.tenant(group.tenant)
    groups = tuple(group if known.name == group.name else known for known in tenant.groups)
    return _with_tenant(overlay, replace(tenant, groups=groups))


def _with_tenant(overlay: Overlay, tenant: Tenant) -> Overlay:
    tenants = tuple(tenant if known.name == tenant.name else known for known in overlay.tenants)
    return replace(overlay, tenants=tenants)
