"""What an ovs-vswitchd that forwards itself knows of the way to other tunnel endpoints: its routes and neighbours.

Without a route, or without the MAC address of the next hop, it sends a packet into no tunnel: it asks for the neighbour
and drops the packet (``native_tunnel_output`` of ofproto-dpif-xlate.c).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.packet import IPAddress


@dataclass(frozen=True, slots=True)
class TunnelRoute:
    """A route to a prefix, directly or by a gateway; ``local`` ones are of the server's own addresses.

    Of those that fit, the one with the greatest ``rank`` counts.
    """

    prefix: IPNetwork
    rank: int
    gateway: IPAddress | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class TunnelReach:
    """``neighbours`` are the addresses whose MAC address is known."""

    neighbours: tuple[IPAddress, ...]
    routes: tuple[TunnelRoute, ...]

    def also(self, neighbours: Iterable[IPAddress]) -> Self:
        """With more neighbours."""
        return replace(self, neighbours=(*self.neighbours, *neighbours))

    def obstacle(self, destination: IPAddress) -> str | None:
        """Why nothing can be sent to a tunnel endpoint, as a clause; None where something can."""
        fitting = (route for route in self.routes if destination in route.prefix)
        route = max(fitting, key=lambda one: one.rank, default=None)
        if route is None:
            return f"there is no route to {destination}"
        next_hop = route.gateway or destination
        if route.local or next_hop in self.neighbours:
            return None
        behind = "" if next_hop == destination else f", the gateway to {destination}"
        return f"nobody answers for {next_hop}{behind}: its MAC address is not known"
