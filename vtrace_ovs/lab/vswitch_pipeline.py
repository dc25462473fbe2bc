"""Turns an Overlay into the flows and meters of a compute server's br-int (profile ``lab-vswitch``).

    0 classify → 10 anti-spoofing → 12 ARP responder
                                  → 15 rate limit → 20 egress rules → 30 forwarding → tunnel
                        tunnel → 0 classify ──────────────────────→ 30            → 40 ingress rules → 50 output

``reg1`` holds the VNI from table 0 on, ``reg2`` the output port from table 30 on.
"""

from collections.abc import Iterator

from vtrace_ovs.lab.numbering import TUNNEL_OFPORT, CookieKind, cookie, meter_id, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine, MeterLine
from vtrace_ovs.lab.security_flows import security_flows
from vtrace_ovs.model.overlay import Overlay, OverlaySubnet, OverlayVm
from vtrace_ovs.model.packet import IPAddress, IpFamily, family_of

CLASSIFY, ANTI_SPOOFING, ARP, RATE_LIMIT, EGRESS, FORWARDING, INGRESS, OUTPUT = 0, 10, 12, 15, 20, 30, 40, 50
PRIORITY = 100


def vswitch_program(overlay: Overlay, server: str) -> BridgeProgram:
    """What a controller would install on this server for the VMs it holds."""
    vms = overlay.vms_on(server)
    subnets = {overlay.subnet_of(vm).vni: overlay.subnet_of(vm) for vm in vms}
    flows: list[FlowLine] = list(_defaults())
    meters: list[MeterLine] = []
    for subnet in subnets.values():
        flows += _subnet_flows(overlay, server, subnet)
    for vm in vms:
        flows += _vm_flows(overlay, vm)
        limit = overlay.rate_limit(vm.name)
        if limit is not None:
            meters.append(MeterLine(meter_id(overlay, vm), limit.packets_per_second, limit.burst))
    return BridgeProgram.of(flows, meters)


def _defaults() -> Iterator[FlowLine]:
    yield FlowLine(ANTI_SPOOFING, 0, "", "drop", cookie(CookieKind.ANTI_SPOOFING))
    yield FlowLine(RATE_LIMIT, 0, "", f"goto_table:{EGRESS}", cookie(CookieKind.RATE_LIMIT))
    yield FlowLine(EGRESS, 0, "", "drop", cookie(CookieKind.DEFAULT_DENY))
    yield FlowLine(INGRESS, 0, "", "drop", cookie(CookieKind.DEFAULT_DENY))


def _vm_flows(overlay: Overlay, vm: OverlayVm) -> Iterator[FlowLine]:
    port = vm_ofport(overlay, vm)
    vni = overlay.subnet_of(vm).vni
    classify, spoof = cookie(CookieKind.CLASSIFY, port), cookie(CookieKind.ANTI_SPOOFING, port)
    yield FlowLine(
        CLASSIFY, PRIORITY, f"in_port={port}", f"set_field:{vni:#x}->reg1,goto_table:{ANTI_SPOOFING}", classify
    )
    own = f"in_port={port},dl_src={vm.mac}"
    yield FlowLine(ANTI_SPOOFING, PRIORITY, f"ip,{own},nw_src={vm.address}", f"goto_table:{RATE_LIMIT}", spoof)
    if vm.address6 is not None:
        from_own = f"ipv6,{own},ipv6_src={vm.address6}"
        yield FlowLine(ANTI_SPOOFING, PRIORITY, from_own, f"goto_table:{RATE_LIMIT}", spoof)
    yield FlowLine(ANTI_SPOOFING, PRIORITY, f"arp,{own},arp_spa={vm.address}", f"goto_table:{ARP}", spoof)
    if not vm.answered:
        yield FlowLine(ARP, PRIORITY + 1, f"arp,in_port={port}", "drop", cookie(CookieKind.ARP, port))
    if overlay.rate_limit(vm.name) is not None:
        meter = meter_id(overlay, vm)
        yield FlowLine(
            RATE_LIMIT,
            PRIORITY,
            f"in_port={port}",
            f"meter:{meter},goto_table:{EGRESS}",
            cookie(CookieKind.RATE_LIMIT, meter),
        )
    yield from security_flows(overlay, vm, egress=(EGRESS, FORWARDING), ingress=(INGRESS, OUTPUT))
    yield FlowLine(OUTPUT, PRIORITY, f"reg2={port:#x}", f"output:{port}", cookie(CookieKind.OUTPUT, port))


def _subnet_flows(overlay: Overlay, server: str, subnet: OverlaySubnet) -> Iterator[FlowLine]:
    vni = subnet.vni
    yield FlowLine(
        CLASSIFY,
        PRIORITY,
        f"in_port={TUNNEL_OFPORT},tun_id={vni:#x}",
        f"set_field:{vni:#x}->reg1,goto_table:{FORWARDING}",
        cookie(CookieKind.CLASSIFY, TUNNEL_OFPORT),
    )
    yield _arp_responder(vni, str(subnet.gateway), subnet.gateway_mac)
    yield _to_tunnel(overlay, vni, subnet.gateway_mac, overlay.gateway_of(subnet).name)
    for vm in overlay.tenant(subnet.tenant).vms:
        if vm.subnet != subnet.name:
            continue
        yield _arp_responder(vni, str(vm.address), vm.mac)
        yield (
            _to_port(vni, vm.mac, vm_ofport(overlay, vm))
            if vm.server == server
            else _to_tunnel(overlay, vni, vm.mac, vm.server)
        )


def _to_port(vni: int, mac: str, port: int) -> FlowLine:
    actions = f"set_field:{port:#x}->reg2,goto_table:{INGRESS}"
    return FlowLine(FORWARDING, PRIORITY, f"reg1={vni:#x},dl_dst={mac}", actions, cookie(CookieKind.FORWARDING, vni))


def _to_tunnel(overlay: Overlay, vni: int, mac: str, server: str) -> FlowLine:
    actions = tunnel_actions(vni, overlay.server(server).vtep)
    return FlowLine(FORWARDING, PRIORITY, f"reg1={vni:#x},dl_dst={mac}", actions, cookie(CookieKind.FORWARDING, vni))


def tunnel_actions(vni: int, vtep: IPAddress) -> str:
    """Send a packet through the tunnel port to a VTEP."""
    destination = "tun_dst" if family_of(vtep) is IpFamily.IPV4 else "tun_ipv6_dst"
    return f"set_field:{vni:#x}->tun_id,set_field:{vtep}->{destination},output:{TUNNEL_OFPORT}"


def _arp_responder(vni: int, address: str, mac: str) -> FlowLine:
    """Answer who-has in place: the request becomes the reply and goes back to the port it came from."""
    actions = (
        "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        f"set_field:{mac}->eth_src",
        "set_field:2->arp_op",
        "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
        "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]",
        f"set_field:{mac}->arp_sha",
        f"set_field:{address}->arp_spa",
        "in_port",
    )
    match = f"arp,reg1={vni:#x},arp_op=1,arp_tpa={address}"
    return FlowLine(ARP, PRIORITY, match, ",".join(actions), cookie(CookieKind.ARP))
