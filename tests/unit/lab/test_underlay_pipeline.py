from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.lab.program import EMPTY_PROGRAM, FlowLine
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.underlay_pipeline import next_hops, tunnels_between, underlay_program
from vtrace_ovs.model.overlay import Encapsulation, Overlay


@pytest.fixture(scope="module")
def fabric() -> Overlay:
    return load_topology("leaf-spine")


def routes(overlay: Overlay, switch: str) -> dict[str, str]:
    return {flow.match: flow.actions for flow in underlay_program(overlay, switch).flows}


def test_switches_that_learn_need_no_flows(overlay: Overlay) -> None:
    assert underlay_program(overlay, "pfd1") == EMPTY_PROGRAM


def test_a_spine_has_one_way_to_each_server(fabric: Overlay) -> None:
    assert routes(fabric, "spine2") == {
        "ip,nw_dst=172.31.2.11": "output:1",
        "ip,nw_dst=172.31.2.12": "output:2",
        "ip,nw_dst=172.31.2.21": "output:2",
    }


def test_a_leaf_shares_tunnels_to_the_other_one_out_by_their_source_port(fabric: Overlay) -> None:
    assert routes(fabric, "leaf1") == {
        "ip,nw_dst=172.31.2.11": "output:1",
        "ip,nw_dst=172.31.2.12": "output:2",
        "udp,nw_dst=172.31.2.12,udp_src=0x0/0x1": "output:2",
        "udp,nw_dst=172.31.2.12,udp_src=0x1/0x1": "output:3",
        "ip,nw_dst=172.31.2.21": "output:2",
        "udp,nw_dst=172.31.2.21,udp_src=0x0/0x1": "output:2",
        "udp,nw_dst=172.31.2.21,udp_src=0x1/0x1": "output:3",
    }


def test_three_equal_ways_all_get_traffic(fabric: Overlay) -> None:
    links = (*fabric.underlay.links, ("leaf1", "spine3"), ("leaf2", "spine3"))
    wider = replace(fabric, underlay=replace(fabric.underlay, links=links, switches=("leaf1", "leaf2", "spine3")))
    ways = [actions for match, actions in routes(wider, "leaf1").items() if "172.31.2.12,udp_src" in match]
    assert sorted(ways) == ["output:2", "output:2", "output:3", "output:4"]


def test_a_way_leads_over_the_nearest_switches_only(fabric: Overlay) -> None:
    far = fabric.server("cs2")
    assert next_hops(fabric.underlay, "leaf1", far) == ("spine1", "spine2")
    assert next_hops(fabric.underlay, "spine1", far) == ("leaf2",)
    assert next_hops(fabric.underlay, "leaf2", far) == ("cs2",)


@pytest.mark.parametrize(
    ("encapsulation", "match"),
    [
        (Encapsulation.VXLAN, "udp,nw_src=192.0.2.1,nw_dst=192.0.2.2,udp_dst=4789"),
        (Encapsulation.GENEVE, "udp,nw_src=192.0.2.1,nw_dst=192.0.2.2,udp_dst=6081"),
        (Encapsulation.GRE, "ip,nw_src=192.0.2.1,nw_dst=192.0.2.2,nw_proto=47"),
    ],
)
def test_a_tunnel_is_known_by_its_ends_and_its_port(encapsulation: Encapsulation, match: str) -> None:
    assert tunnels_between(encapsulation, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")) == match


def test_a_tunnel_may_be_over_ipv6() -> None:
    ends = IPv6Address("fd31::1"), IPv6Address("fd31::2")
    assert tunnels_between(Encapsulation.VXLAN, *ends) == "udp6,ipv6_src=fd31::1,ipv6_dst=fd31::2,udp_dst=4789"


def test_a_route_has_a_cookie_of_its_own_kind(fabric: Overlay) -> None:
    assert underlay_program(fabric, "spine1").flows[0] == FlowLine(
        0, 100, "ip,nw_dst=172.31.2.11", "output:1", 0x1AB0_0C00_0000_0001
    )
