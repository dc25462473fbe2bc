"""Turns what ovs-vswitchd prints of its tunnels' routes and neighbours into a TunnelReach."""

import re
from ipaddress import ip_address, ip_network

from vtrace_ovs.model.tunnel_reach import TunnelReach, TunnelRoute

_NEIGHBOUR = re.compile(r"^([0-9a-f.:]+) +(?:[0-9a-f]{2}:){5}[0-9a-f]{2} ", re.MULTILINE)
_ROUTE = re.compile(
    r"^(?P<kind>Cached|User): (?P<prefix>[0-9a-f.:]+/\d+)(?P<mark> MARK \d+)? dev \S+"
    r"(?: GW (?P<gateway>[0-9a-f.:]+))?(?: SRC [0-9a-f.:]+)?(?P<local> local)?$",
    re.MULTILINE,
)
_OF_USER, _OF_HOST = 32, 64
"""What lib/ovs-router.c adds to the length of the prefix."""


def tunnel_reach(neighbours: str, routes: str) -> TunnelReach | None:
    """From ``tnl/neigh/show`` and ``ovs/route/show``; None where routes are not understood, or depend on marks."""
    found = list(_ROUTE.finditer(routes))
    if len(found) != sum(line.startswith(("Cached:", "User:")) for line in routes.splitlines()):
        return None
    if any(route["mark"] for route in found):
        return None
    known = tuple(ip_address(address) for address in _NEIGHBOUR.findall(neighbours))
    return TunnelReach(known, tuple(map(_route, found)))


def _route(found: re.Match[str]) -> TunnelRoute:
    prefix = ip_network(found["prefix"], strict=False)
    local = found["local"] is not None
    more = _OF_HOST if local else _OF_USER if found["kind"] == "User" else 0
    gateway = None if found["gateway"] is None else ip_address(found["gateway"])
    return TunnelRoute(prefix, prefix.prefixlen + more, gateway, local)
