from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.model.overlay import Overlay, OverlayRoute

Breaking = Callable[[Overlay, Fault], Overlay]


def test_a_route_goes(overlay: Overlay, broken: Breaking) -> None:
    gone = broken(overlay, Fault(FaultName.NO_ROUTE)).tenant("blue").routes
    assert [route.number for route in gone] == [1, 3, 4, 5, 6]
    six = broken(overlay, Fault(FaultName.NO_ROUTE, prefix=IPv6Network("fd00:0:0:2::/64"))).tenant("blue").routes
    assert [route.number for route in six] == [1, 2, 3, 4, 6]


def test_a_route_that_is_not_there_cannot_go(overlay: Overlay, broken: Breaking) -> None:
    with pytest.raises(UsageError, match=r"has no route 192\.0\.2\.0/24"):
        broken(overlay, Fault(FaultName.NO_ROUTE, prefix=IPv4Network("192.0.2.0/24")))


def test_a_route_turns_into_a_blackhole(overlay: Overlay, broken: Breaking) -> None:
    hole = broken(overlay, Fault(FaultName.BLACKHOLE_ROUTE)).tenant("blue").routes
    assert OverlayRoute(2, IPv4Network("10.0.2.0/24"), None) in hole


def test_a_blackhole_may_be_narrower_than_any_route(overlay: Overlay, broken: Breaking) -> None:
    host = IPv4Network("10.0.2.22/32")
    routes = broken(overlay, Fault(FaultName.BLACKHOLE_ROUTE, prefix=host)).tenant("blue").routes
    assert routes[-1] == OverlayRoute(7, host, None)
    assert routes[:-1] == overlay.tenant("blue").routes
