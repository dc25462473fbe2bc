from ipaddress import IPv4Address, IPv4Network

from vtrace_ovs.model.tunnel_reach import TunnelReach, TunnelRoute

NEAR, FAR, GATEWAY = IPv4Address("172.31.0.12"), IPv4Address("192.0.2.9"), IPv4Address("172.31.0.1")
ON_LINK = TunnelRoute(IPv4Network("172.31.0.0/24"), 24)
OWN = TunnelRoute(IPv4Network("172.31.0.12/32"), 96, local=True)
DEFAULT = TunnelRoute(IPv4Network("0.0.0.0/0"), 0, GATEWAY)


def test_what_is_on_the_link_must_answer_itself() -> None:
    assert TunnelReach((NEAR,), (ON_LINK,)).obstacle(NEAR) is None
    said = TunnelReach((GATEWAY,), (ON_LINK, DEFAULT)).obstacle(NEAR)
    assert said == "nobody answers for 172.31.0.12: its MAC address is not known"


def test_of_what_is_behind_a_gateway_the_gateway_must_answer() -> None:
    assert TunnelReach((GATEWAY,), (ON_LINK, DEFAULT)).obstacle(FAR) is None
    said = TunnelReach((FAR,), (ON_LINK, DEFAULT)).obstacle(FAR)
    assert said == "nobody answers for 172.31.0.1, the gateway to 192.0.2.9: its MAC address is not known"


def test_without_a_route_nothing_is_sent() -> None:
    assert TunnelReach((FAR,), (ON_LINK,)).obstacle(FAR) == "there is no route to 192.0.2.9"


def test_own_addresses_need_no_neighbour() -> None:
    assert TunnelReach((), (ON_LINK, OWN)).obstacle(NEAR) is None


def test_neighbours_are_added() -> None:
    assert TunnelReach((), (ON_LINK,)).also((NEAR,)).obstacle(NEAR) is None
