"""Turns an Overlay into the flows of the gateway's br-int (``lab-gateway``) and of each vRouter (``lab-vrouter``).

br-int:  0 classify (tunnel or patch → VNI in ``reg1``) → 30 forwarding (gateway MAC → patch, VM MAC → tunnel)
vRouter: 0 classify → 10 routing (TTL, source MAC, output port in ``reg2``) → 20 neighbour → 30 output
         (with NAT rules also 5, 25 and 27: ``nat_pipeline``)

A destination without a route is an OpenFlow table-miss in the vRouter's table 10; a blackhole is a drop flow there.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.lab.nat_pipeline import BACK, DESTINATION, nat_flows, nat_groups
from vtrace_ovs.lab.numbering import TUNNEL_OFPORT, CookieKind, cookie, patch_ofport
from vtrace_ovs.lab.program import FAMILY_WORDS, BridgeProgram, FlowLine
from vtrace_ovs.lab.vswitch_pipeline import tunnel_actions
from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.overlay import Overlay, OverlayRoute, OverlaySubnet, Tenant
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IPAddress, family_of

CLASSIFY, FORWARDING = 0, 30
ROUTING, NEIGHBOUR, OUTPUT = 10, 20, 30
PRIORITY = 100


def toward(destination: IPAddress | IPNetwork) -> str:
    """The match for packets to an address or prefix."""
    address = destination if isinstance(destination, IPv4Address | IPv6Address) else destination.network_address
    family = family_of(address)
    return f"{FAMILY_WORDS[family]},{ADDRESS_FIELDS[family][1]}={destination}"


def gateway_program(overlay: Overlay) -> BridgeProgram:
    """The flows of the gateway's br-int."""
    return BridgeProgram.of(
        flow
        for tenant in overlay.tenants
        for subnet in tenant.subnets
        for flow in _gateway_subnet(overlay, tenant, subnet)
    )


def _gateway_subnet(overlay: Overlay, tenant: Tenant, subnet: OverlaySubnet) -> Iterator[FlowLine]:
    vni, patch = subnet.vni, patch_ofport(overlay, subnet)
    classify, forward = cookie(CookieKind.CLASSIFY, vni), cookie(CookieKind.FORWARDING, vni)
    onward = f"set_field:{vni:#x}->reg1,goto_table:{FORWARDING}"
    yield FlowLine(CLASSIFY, PRIORITY, f"in_port={TUNNEL_OFPORT},tun_id={vni:#x}", onward, classify)
    yield FlowLine(CLASSIFY, PRIORITY, f"in_port={patch}", onward, classify)
    yield FlowLine(FORWARDING, PRIORITY, f"reg1={vni:#x},dl_dst={subnet.gateway_mac}", f"output:{patch}", forward)
    for vm in tenant.vms:
        if vm.subnet == subnet.name:
            actions = tunnel_actions(vni, overlay.server(vm.server).vtep)
            yield FlowLine(FORWARDING, PRIORITY, f"reg1={vni:#x},dl_dst={vm.mac}", actions, forward)


def vrouter_program(overlay: Overlay, tenant_name: str) -> BridgeProgram:
    """The flows of one tenant's vRouter."""
    tenant = overlay.tenant(tenant_name)
    flows: list[FlowLine] = []
    for subnet in tenant.subnets:
        flows += _router_subnet(overlay, tenant, subnet)
    flows += (_route(overlay, tenant, route) for route in tenant.routes)
    if not tenant.nat:
        return BridgeProgram.of(flows)
    flows += nat_flows(overlay, tenant, ROUTING, OUTPUT)
    return BridgeProgram.of(flows, groups=nat_groups(overlay, tenant, ROUTING))


def _router_subnet(overlay: Overlay, tenant: Tenant, subnet: OverlaySubnet) -> Iterator[FlowLine]:
    vni, patch = subnet.vni, patch_ofport(overlay, subnet)
    first, last = (DESTINATION, BACK) if tenant.nat else (ROUTING, OUTPUT)
    for family in subnet.families:
        to_us = f"{FAMILY_WORDS[family]},in_port={patch},dl_dst={subnet.gateway_mac}"
        yield FlowLine(CLASSIFY, PRIORITY, to_us, f"goto_table:{first}", cookie(CookieKind.CLASSIFY, vni))
    for vm in tenant.vms:
        if vm.subnet == subnet.name:
            actions = f"set_field:{vm.mac}->eth_dst,goto_table:{last}"
            neighbour = cookie(CookieKind.NEIGHBOUR, vni)
            for address in vm.addresses:
                yield FlowLine(NEIGHBOUR, PRIORITY, toward(address), actions, neighbour)
    yield FlowLine(OUTPUT, PRIORITY, f"reg2={patch:#x}", f"output:{patch}", cookie(CookieKind.OUTPUT, patch))
    if tenant.nat:
        hairpin = f"in_port={patch},reg2={patch:#x}"
        yield FlowLine(OUTPUT, PRIORITY + 1, hairpin, "in_port", cookie(CookieKind.OUTPUT, patch))


def _route(overlay: Overlay, tenant: Tenant, route: OverlayRoute) -> FlowLine:
    """Longest prefix first: the priority is 100 and the prefix length."""
    if route.subnet is None:
        actions = "drop"
    else:
        subnet = tenant.subnet(route.subnet)
        patch = patch_ofport(overlay, subnet)
        actions = f"dec_ttl,set_field:{subnet.gateway_mac}->eth_src,set_field:{patch:#x}->reg2,goto_table:{NEIGHBOUR}"
    return FlowLine(
        ROUTING,
        PRIORITY + route.prefix.prefixlen,
        toward(route.prefix),
        actions,
        cookie(CookieKind.ROUTE, route.number),
    )
