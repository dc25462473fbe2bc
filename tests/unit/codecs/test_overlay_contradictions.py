from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.codecs.overlay_contradictions import contradictions
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.overlay import Overlay, OverlayRoute, OverlayVm, RateLimit, ServerRole, Tenant, UnderlayRouting


@pytest.fixture(scope="module")
def overlay() -> Overlay:
    return load_topology("vpc")


def with_blue(overlay: Overlay, blue: Tenant) -> Overlay:
    return replace(overlay, tenants=(blue, *overlay.tenants[1:]))


def with_first_vm(overlay: Overlay, vm: OverlayVm) -> Overlay:
    blue = overlay.tenants[0]
    return with_blue(overlay, replace(blue, vms=(vm, *blue.vms[1:])))


def test_the_overlay_that_ships_does_not_contradict_itself(overlay: Overlay) -> None:
    assert list(contradictions(overlay)) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"server": "gw1"}, "'gw1' is no compute server"),
        ({"server": "cs9"}, "'cs9' is no compute server"),
        ({"subnet": "dmz"}, "has no subnet 'dmz'"),
        ({"address": IPv4Address("10.0.9.9")}, "is not a free address"),
        ({"address": IPv4Address("10.0.1.1")}, "is not a free address"),
        ({"address": IPv4Address("10.0.1.12")}, "address 10.0.1.12 is given 2 times"),
        ({"groups": ("nope",)}, "has no security group 'nope'"),
        ({"name": "a-name-of-16-chr"}, "longer than an interface name"),
        ({"name": "cs1"}, "name cs1 is given 2 times"),
    ],
)
def test_a_vm_must_fit_its_surroundings(overlay: Overlay, change: dict[str, object], sentence: str) -> None:
    vm = replace(overlay.tenants[0].vms[0], **change)  # type: ignore[arg-type]
    found = [line for line in contradictions(with_first_vm(overlay, vm)) if sentence in line]
    assert len(found) == 1


def test_there_is_a_gateway(overlay: Overlay) -> None:
    servers = tuple(replace(server, role=ServerRole.COMPUTE) for server in overlay.servers)
    assert "a server must have role gateway" in contradictions(replace(overlay, servers=servers))


def test_a_subnet_sends_to_a_gateway_server(overlay: Overlay) -> None:
    blue = overlay.tenants[0]
    web = replace(blue.subnets[0], server="cs1")
    found = list(contradictions(with_blue(overlay, replace(blue, subnets=(web, *blue.subnets[1:])))))
    assert found == ["tenant blue: subnet web: 'cs1' is no gateway server"]


@pytest.mark.parametrize(
    ("links", "sentence"),
    [
        ((), "do not join all switches"),
        ((("pfd1", "pfd9"),), "no such switch"),
        ((("pfd1", "pfd2"), ("pfd2", "pfd1")), "closes a loop"),
    ],
)
def test_the_underlay_is_a_tree(overlay: Overlay, links: tuple[tuple[str, str], ...], sentence: str) -> None:
    broken = replace(overlay, underlay=replace(overlay.underlay, links=links))
    assert any(sentence in line for line in contradictions(broken))


def test_a_chain_of_switches_is_joined_whatever_the_order_of_its_links(overlay: Overlay) -> None:
    underlay = replace(
        overlay.underlay, switches=("pfd1", "a", "b", "pfd2"), links=(("a", "b"), ("pfd1", "a"), ("pfd2", "b"))
    )
    assert list(contradictions(replace(overlay, underlay=underlay))) == []


def test_switches_with_routes_may_be_joined_in_loops_but_only_once(overlay: Overlay) -> None:
    links = (("pfd1", "a"), ("pfd1", "b"), ("pfd2", "a"), ("pfd2", "b"))
    fabric = replace(overlay.underlay, switches=("pfd1", "a", "b", "pfd2"), links=links, routing=UnderlayRouting.ECMP)
    assert list(contradictions(replace(overlay, underlay=fabric))) == []
    twice = replace(fabric, links=(*links, ("a", "pfd1")))
    assert list(contradictions(replace(overlay, underlay=twice))) == ["underlay link a-pfd1 is given 2 times"]


def test_a_server_hangs_on_a_switch_and_in_the_prefix(overlay: Overlay) -> None:
    server = replace(overlay.servers[0], switch="none", vtep=IPv4Address("192.0.2.1"))
    found = list(contradictions(replace(overlay, servers=(server, *overlay.servers[1:]))))
    assert found == [
        "server cs1: no underlay switch 'none'",
        "server cs1: VTEP 192.0.2.1 is outside 172.31.0.0/24",
    ]


def test_routes_and_gateways_stay_within_the_tenant(overlay: Overlay) -> None:
    blue = overlay.tenants[0]
    subnet = replace(blue.subnets[0], gateway=IPv4Address("10.7.0.1"))
    route = OverlayRoute(9, IPv4Network("10.7.0.0/24"), "nowhere")
    broken = replace(blue, subnets=(subnet, *blue.subnets[1:]), routes=(*blue.routes, route))
    found = list(contradictions(with_blue(overlay, broken)))
    assert any("gateway 10.7.0.1 is outside" in line for line in found)
    assert any("no subnet 'nowhere'" in line for line in found)


def test_a_tenants_name_must_fit_its_vrouter(overlay: Overlay) -> None:
    blue = replace(overlay.tenants[0], name="a-very-long-name")
    assert any("vr-a-very-long-name" in line for line in contradictions(with_blue(overlay, blue)))


def test_a_rate_limit_is_about_a_vm_that_exists(overlay: Overlay) -> None:
    broken = replace(overlay, rate_limits=(RateLimit("ghost", 1, 1),))
    assert list(contradictions(broken)) == ["rate limit: no VM 'ghost'"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inside": (IPv4Network("10.1.2.99/32"),)}, "tenant green: NAT rule 2: no VM has 10.1.2.99"),
        ({"outside": IPv4Address("10.1.1.99")}, "10.1.1.99 is in subnet web"),
        ({"outside": IPv4Address("203.0.113.1")}, "is given 2 times"),
    ],
)
def test_a_translation_must_lead_from_outside_to_a_vm(change: dict[str, object], sentence: str) -> None:
    natted = load_topology("nat")
    (green,) = natted.tenants
    assert list(contradictions(natted)) == []
    first, second, *others = green.nat
    changed = replace(green, nat=(first, replace(second, **change), *others))  # type: ignore[arg-type]
    assert len([line for line in contradictions(with_blue(natted, changed)) if sentence in line]) == 1
