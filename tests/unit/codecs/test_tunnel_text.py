from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vtrace_ovs.codecs.tunnel_text import tunnel_reach
from vtrace_ovs.model.tunnel_reach import TunnelReach, TunnelRoute

NEIGHBOURS = """IP                                            MAC                 Bridge
==========================================================================
172.31.0.13                                   06:00:ac:1f:00:0d   br-phy
fd00::21                                      06:00:ac:1f:00:15   br-phy
"""
ROUTES = """Route Table:
Cached: 172.31.0.11/32 dev br-phy SRC 172.31.0.11 local
Cached: 172.31.0.0/24 dev br-phy SRC 172.31.0.11
User: fd00::/64 dev br-phy SRC fd00::11
Cached: 0.0.0.0/0 dev br-phy GW 172.31.0.1 SRC 172.31.0.11
"""


def test_routes_are_ranked_as_open_vswitch_does() -> None:
    assert tunnel_reach(NEIGHBOURS, ROUTES) == TunnelReach(
        (IPv4Address("172.31.0.13"), IPv6Address("fd00::21")),
        (
            TunnelRoute(IPv4Network("172.31.0.11/32"), 96, local=True),
            TunnelRoute(IPv4Network("172.31.0.0/24"), 24),
            TunnelRoute(IPv6Network("fd00::/64"), 96),
            TunnelRoute(IPv4Network("0.0.0.0/0"), 0, IPv4Address("172.31.0.1")),
        ),
    )


def test_routes_that_depend_on_a_mark_or_are_not_understood_tell_nothing() -> None:
    assert tunnel_reach(NEIGHBOURS, ROUTES + "User: 10.0.0.0/8 MARK 7 dev br-phy SRC 172.31.0.11\n") is None
    assert tunnel_reach(NEIGHBOURS, ROUTES + "User: 10.0.0.0/8 by pigeon\n") is None
