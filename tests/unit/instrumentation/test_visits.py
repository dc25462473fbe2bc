from fractions import Fraction

from vtrace_ovs.instrumentation.visits import MOST_WAYS, Inlet, Visits
from vtrace_ovs.model.topology import BridgeId

GATEWAY, BLUE, RED, SERVER, OTHER = (BridgeId("gw", name) for name in ("int", "blue", "red", "server", "other"))
TUNNEL, TO_BLUE, TO_RED = 1, 2, 3
WHOLE, HALF = Fraction(1), Fraction(1, 2)


def through(visits: Visits, router: BridgeId, back_by: int) -> Inlet:
    """From the gateway's tunnel to a router and back; where it is back."""
    visits.come(Inlet(GATEWAY, TUNNEL), router, 1)
    visits.come(Inlet(router, 1), GATEWAY, back_by)
    return Inlet(GATEWAY, back_by)


def gateway() -> Visits:
    visits = Visits()
    visits.come(None, GATEWAY, TUNNEL)
    return visits


def test_routers_beside_each_other_are_passed_by_different_packets() -> None:
    visits = gateway()
    for router, back_by in ((BLUE, TO_BLUE), (RED, TO_RED)):
        visits.come(through(visits, router, back_by), SERVER, TUNNEL)
    assert visits.shares() == {GATEWAY: WHOLE, BLUE: HALF, RED: HALF, SERVER: HALF}


def test_routers_one_after_the_other_are_passed_by_the_same_packets() -> None:
    visits = gateway()
    visits.come(through(visits, BLUE, TO_BLUE), RED, 1)
    visits.come(Inlet(RED, 1), GATEWAY, TO_RED)
    third = Fraction(1, 3)
    assert visits.shares() == {GATEWAY: WHOLE, BLUE: third, RED: third}


def test_where_it_is_unknown_by_which_port_they_come_nothing_is_said_and_elsewhere_it_is() -> None:
    visits = gateway()
    visits.come(through(visits, BLUE, TO_BLUE), SERVER, TUNNEL)
    visits.come(Inlet(SERVER, TUNNEL), OTHER, None)
    assert visits.shares() == {GATEWAY: WHOLE, BLUE: HALF, SERVER: HALF, OTHER: WHOLE}


def test_where_packets_come_by_any_port_nothing_is_known() -> None:
    visits = Visits()
    visits.come(None, GATEWAY, None)
    assert visits.shares() == {GATEWAY: WHOLE}


def test_of_too_many_ways_it_is_not_asked() -> None:
    visits = gateway()
    visits.come(through(visits, BLUE, TO_BLUE), SERVER, TUNNEL)
    assert visits.shares()[SERVER] == HALF
    for number in range(MOST_WAYS):
        visits.come(Inlet(SERVER, TUNNEL), BridgeId(f"cs{number}", "br"), TUNNEL)
    assert set(visits.shares().values()) == {WHOLE}
