"""Turns an Overlay into sentences about what contradicts itself in it: names repeated or missing, stray addresses."""

from collections import Counter
from collections.abc import Iterable, Iterator

from vtrace_ovs.model.overlay import NatKind, Overlay, OverlaySubnet, OverlayVm, ServerRole, Tenant, UnderlayRouting
from vtrace_ovs.model.packet import IPAddress

MAX_INTERFACE_NAME = 15


def contradictions(overlay: Overlay) -> Iterator[str]:
    """Each contradiction as one line, the gravest kinds first; nothing for an overlay that can be built."""
    servers = [server.name for server in overlay.servers]
    vms = [vm.name for vm in overlay.vms()]
    names = [*servers, *overlay.underlay.switches, *vms]
    yield from _repeated("name", names)
    yield from _repeated("VNI", (subnet.vni for tenant in overlay.tenants for subnet in tenant.subnets))
    yield from _repeated("VTEP", (server.vtep for server in overlay.servers))
    for name in names:
        if len(name) > MAX_INTERFACE_NAME:
            yield f"{name!r} is longer than an interface name may be ({MAX_INTERFACE_NAME})"
    for tenant in overlay.tenants:
        if len(tenant.name) > MAX_INTERFACE_NAME - len("vr-"):
            yield f"tenant {tenant.name!r}: vr-{tenant.name} is longer than an interface name may be"
    yield from _underlay(overlay)
    for limit in overlay.rate_limits:
        if limit.vm not in vms:
            yield f"rate limit: no VM {limit.vm!r}"
    for tenant in overlay.tenants:
        yield from _tenant(tenant)
        yield from _gateways(tenant, [server.name for server in overlay.gateways()])
        yield from _nat(tenant)
        for vm in tenant.vms:
            yield from _vm(vm, tenant, overlay)


def _repeated(what: str, values: Iterable[object]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"{what} {value} is given {times} times"


def _underlay(overlay: Overlay) -> Iterator[str]:
    underlay = overlay.underlay
    if not overlay.gateways():
        yield "a server must have role gateway"
    for server in overlay.servers:
        if server.switch not in underlay.switches:
            yield f"server {server.name}: no underlay switch {server.switch!r}"
        if server.vtep not in underlay.prefix:
            yield f"server {server.name}: VTEP {server.vtep} is outside {underlay.prefix}"
    joined = {switch: {switch} for switch in underlay.switches}
    yield from _repeated("underlay link", ("-".join(sorted(link)) for link in underlay.links))
    for one, other in underlay.links:
        if one not in joined or other not in joined:
            yield f"underlay link {one}-{other}: no such switch"
            return
        if joined[one] is joined[other] and underlay.routing is UnderlayRouting.LEARNING:
            yield f"underlay link {one}-{other} closes a loop"
            return
        joined[one] |= joined[other]
        for switch in joined[one]:
            joined[switch] = joined[one]
    if any(len(reached) < len(joined) for reached in joined.values()):
        yield "the underlay links do not join all switches"


def _tenant(tenant: Tenant) -> Iterator[str]:
    subnets = [subnet.name for subnet in tenant.subnets]
    yield from _repeated(f"tenant {tenant.name}: address", (address for vm in tenant.vms for address in vm.addresses))
    yield from _repeated(f"tenant {tenant.name}: route", (route.prefix for route in tenant.routes))
    for subnet in tenant.subnets:
        if subnet.gateway not in subnet.prefix:
            yield f"tenant {tenant.name}: subnet {subnet.name}: gateway {subnet.gateway} is outside {subnet.prefix}"
        if (subnet.prefix6 is None) != (subnet.gateway6 is None):
            yield f"tenant {tenant.name}: subnet {subnet.name}: prefix6 and gateway6 go together"
        elif subnet.prefix6 is not None and subnet.gateway6 not in subnet.prefix6:
            yield f"tenant {tenant.name}: subnet {subnet.name}: gateway {subnet.gateway6} is outside {subnet.prefix6}"
    for route in tenant.routes:
        if route.subnet is not None and route.subnet not in subnets:
            yield f"tenant {tenant.name}: route {route.prefix}: no subnet {route.subnet!r}"


def _gateways(tenant: Tenant, gateways: list[str]) -> Iterator[str]:
    for subnet in tenant.subnets:
        if subnet.server is not None and subnet.server not in gateways:
            yield f"tenant {tenant.name}: subnet {subnet.name}: {subnet.server!r} is no gateway server"


def _nat(tenant: Tenant) -> Iterator[str]:
    where = f"tenant {tenant.name}: NAT rule"
    vms = {address for vm in tenant.vms for address in vm.addresses}
    asked = (filter(None, (str(rule.outside), rule.protocol, rule.port)) for rule in tenant.nat)
    yield from _repeated(f"{where} for", (" ".join(map(str, words)) for words in asked))
    for rule in tenant.nat:
        within = next((subnet for subnet in tenant.subnets if _within(rule.outside, subnet)), None)
        if within is not None:
            yield f"{where} {rule.number}: {rule.outside} is in subnet {within.name}, so no router is asked for it"
        for prefix in () if rule.kind is NatKind.SNAT else rule.inside:
            if prefix.network_address not in vms:
                yield f"{where} {rule.number}: no VM has {prefix.network_address}"


def _within(address: IPAddress, subnet: OverlaySubnet) -> bool:
    return address in subnet.prefix or address in (subnet.prefix6 or ())


def _vm(vm: OverlayVm, tenant: Tenant, overlay: Overlay) -> Iterator[str]:
    subnet = next((subnet for subnet in tenant.subnets if subnet.name == vm.subnet), None)
    server = next((server for server in overlay.servers if server.name == vm.server), None)
    if subnet is None:
        yield f"VM {vm.name}: tenant {tenant.name} has no subnet {vm.subnet!r}"
    elif vm.address not in subnet.prefix or vm.address == subnet.gateway:
        yield f"VM {vm.name}: {vm.address} is not a free address of {subnet.prefix}"
    elif (vm.address6 is None) != (subnet.prefix6 is None):
        yield f"VM {vm.name}: it needs an address6 where its subnet has a prefix6, and only there"
    elif vm.address6 is not None and (vm.address6 not in (subnet.prefix6 or ()) or vm.address6 == subnet.gateway6):
        yield f"VM {vm.name}: {vm.address6} is not a free address of {subnet.prefix6}"
    if server is None or server.role is not ServerRole.COMPUTE:
        yield f"VM {vm.name}: {vm.server!r} is no compute server"
    for group in vm.groups:
        if all(known.name != group for known in tenant.groups):
            yield f"VM {vm.name}: tenant {tenant.name} has no security group {group!r}"
