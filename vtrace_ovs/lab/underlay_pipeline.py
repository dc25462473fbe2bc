"""Turns an Overlay into the routes of one underlay switch: to every VTEP, over all shortest ways.

A route is a flow by outer destination address. Of equally short ways a UDP packet takes the one that the last bits of
its outer source port name, in which a tunnel endpoint puts a hash of the inner packet (RFC 7348 §4); a packet of any
other protocol takes the first. (The hash of a select group leaves UDP ports out: ``sym_l4`` of Open vSwitch 3.1.)
Switches that learn have no flows of ours.
"""

from collections.abc import Iterator, Mapping
from typing import assert_never

from vtrace_ovs.lab.gateway_pipeline import toward
from vtrace_ovs.lab.numbering import CookieKind, cookie
from vtrace_ovs.lab.program import FAMILY_WORDS, BridgeProgram, FlowLine
from vtrace_ovs.lab.wiring import switch_ports
from vtrace_ovs.model.overlay import Encapsulation, Overlay, OverlayServer, Underlay, UnderlayRouting
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IPAddress, IpFamily, family_of

ROUTES, PRIORITY = 0, 100
_UDP = {IpFamily.IPV4: "udp", IpFamily.IPV6: "udp6"}


def underlay_program(overlay: Overlay, switch: str) -> BridgeProgram:
    """What this switch knows of the way to each VTEP."""
    if overlay.underlay.routing is UnderlayRouting.LEARNING:
        return BridgeProgram()
    ports = {name: number for number, name in enumerate(switch_ports(overlay, switch), 1)}
    return BridgeProgram.of(_routes(overlay, switch, ports))


def next_hops(underlay: Underlay, switch: str, server: OverlayServer) -> tuple[str, ...]:
    """What a switch may send a server's packets to: the server itself, or the switches nearest to it."""
    if switch == server.switch:
        return (server.name,)
    distance = _distances(underlay, server.switch)
    return tuple(other for other in underlay.neighbours(switch) if distance[other] < distance[switch])


def tunnels_between(encapsulation: Encapsulation, source: IPAddress, destination: IPAddress) -> str:
    """The match for what goes by tunnel from one VTEP to another."""
    family = family_of(destination)
    from_field, to_field = ADDRESS_FIELDS[family]
    addresses = f"{from_field}={source},{to_field}={destination}"
    match encapsulation:
        case Encapsulation.VXLAN:
            return f"{_UDP[family]},{addresses},udp_dst=4789"
        case Encapsulation.GENEVE:
            return f"{_UDP[family]},{addresses},udp_dst=6081"
        case Encapsulation.GRE:
            return f"{FAMILY_WORDS[family]},{addresses},nw_proto=47"
        case _:
            assert_never(encapsulation)


def _distances(underlay: Underlay, root: str) -> dict[str, int]:
    """How many cables each switch is away from one of them."""
    found = {root: 0}
    ring = [root]
    while ring:
        beyond = dict.fromkeys(other for switch in ring for other in underlay.neighbours(switch) if other not in found)
        found |= dict.fromkeys(beyond, found[ring[0]] + 1)
        ring = list(beyond)
    return found


def _routes(overlay: Overlay, switch: str, ports: Mapping[str, int]) -> Iterator[FlowLine]:
    for index, server in enumerate(overlay.servers, 1):
        family = family_of(server.vtep)
        outputs = [f"output:{ports[hop]}" for hop in next_hops(overlay.underlay, switch, server)]
        number = cookie(CookieKind.UNDERLAY, index)
        yield FlowLine(ROUTES, PRIORITY, toward(server.vtep), outputs[0], number)
        mask = (1 << (len(outputs) - 1).bit_length()) - 1
        for value in range(mask + 1) if mask else ():
            match = f"{_UDP[family]},{ADDRESS_FIELDS[family][1]}={server.vtep},udp_src={value:#x}/{mask:#x}"
            yield FlowLine(ROUTES, PRIORITY + 1, match, outputs[value % len(outputs)], number)
