"""Turns what a controller installs in two gateways into routes whose next hops are each other.

Open vSwitch sends nothing back by the port it came from, so the way there and the way back are two subnets: the first
gateway sends in the destination's, the second in another one of the tenant.
"""

from collections.abc import Iterator

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab import gateway_pipeline
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, ProgramEdit, Programmed, Symptom, reworded, with_flows
from vtrace_ovs.lab.numbering import INTEGRATION_BRIDGE, CookieKind, cookie, kind_of, patch_ofport, vrouter, vtep_mac
from vtrace_ovs.lab.program import FAMILY_WORDS, BridgeProgram, FlowLine
from vtrace_ovs.lab.vswitch_pipeline import tunnel_actions
from vtrace_ovs.model.overlay import Overlay, OverlayServer, OverlaySubnet
from vtrace_ovs.model.verdict import CauseCode, Disposition


def _looped(what: Programmed, fault: Fault) -> BridgeProgram:
    overlay = what.overlay
    if not what.of_gateway:
        return what.program
    tenant = overlay.tenant(victim(overlay, fault).tenant)
    there = overlay.subnet_of(victim(overlay, fault))
    back = next((subnet for subnet in tenant.subnets if subnet.name != there.name), None)
    gateways = overlay.gateways()[:2]
    if back is None or len(gateways) < 2:  # noqa: PLR2004 - two make a loop
        raise UsageError(f"{fault.name.value}: it takes two gateways and two subnets: vtrace lab up gateways")
    server = overlay.server(what.server)
    if server not in gateways:
        return what.program
    first = server == gateways[0]
    peer, by = gateways[first], there if first else back
    if what.bridge == vrouter(tenant.name):
        return _router(what, there, by, peer)
    if what.bridge == INTEGRATION_BRIDGE:
        return with_flows(what.program, *_between(overlay, server, peer, by, back if first else there))
    return what.program


def _router(what: Programmed, there: OverlaySubnet, by: OverlaySubnet, peer: OverlayServer) -> BridgeProgram:
    """The way to the destination's subnet leads to the other router, and what that one sends is routed too."""
    overlay, server = what.overlay, what.overlay.server(what.server)
    old, new = (f"set_field:{patch_ofport(overlay, subnet):#x}->reg2" for subnet in (there, by))
    onward = f"set_field:{_router_mac(peer)}->eth_dst,{new},goto_table:{gateway_pipeline.OUTPUT}"

    def leads_there(flow: FlowLine) -> bool:
        return kind_of(flow.cookie) is CookieKind.ROUTE and old in flow.actions

    sent = reworded(what.program, leads_there, f"{old},goto_table:{gateway_pipeline.NEIGHBOUR}", onward)
    taken = (
        FlowLine(
            *(gateway_pipeline.CLASSIFY, gateway_pipeline.PRIORITY, f"{word},dl_dst={_router_mac(server)}"),
            f"goto_table:{gateway_pipeline.ROUTING}",
            cookie(CookieKind.CLASSIFY),
        )
        for word in FAMILY_WORDS.values()
    )
    return with_flows(sent, *taken)


def _between(
    overlay: Overlay, server: OverlayServer, peer: OverlayServer, out: OverlaySubnet, into: OverlaySubnet
) -> Iterator[FlowLine]:
    """The gateway's br-int: the other router is behind the tunnel, its own behind the patch port."""
    to_peer = tunnel_actions(out.vni, peer.vtep)
    yield _forwarding(out, peer, to_peer)
    yield _forwarding(into, server, f"output:{patch_ofport(overlay, into)}")


def _forwarding(subnet: OverlaySubnet, router: OverlayServer, actions: str) -> FlowLine:
    match = f"reg1={subnet.vni:#x},dl_dst={_router_mac(router)}"
    place = (gateway_pipeline.FORWARDING, gateway_pipeline.PRIORITY, match)
    return FlowLine(*place, actions, cookie(CookieKind.FORWARDING, subnet.vni))


def _router_mac(server: OverlayServer) -> str:
    return f"0c{vtep_mac(server.vtep)[2:]}"


FAULTS = {
    FaultName.ROUTING_LOOP: FaultKind(
        "the routes of two gateways to the destination's subnet lead to each other",
        ProgramEdit(_looped),
        (
            Symptom(
                *(CauseCode.FORWARDING_LOOP, Disposition.LOOPED, "gw2/br-int"),
                source="web1",
                destination="db1",
                topology="gateways",
            ),
        ),
    ),
}
