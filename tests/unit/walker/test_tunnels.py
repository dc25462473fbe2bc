from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.topology import BridgeId, Port, PortKind, Topology
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.tunnels import left_through

HERE, THERE = IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")
BY_FLOW = Port(3, "vx", PortKind.TUNNEL)
SET = layout.placed("tun_id", 5001) | layout.placed("tun_dst", int(THERE))


@pytest.mark.parametrize(
    ("port", "packed", "wanted"),
    [
        (BY_FLOW, SET, Tunnel(5001, HERE, THERE)),
        (replace(BY_FLOW, key=7, remote=HERE), SET, Tunnel(7, HERE, HERE)),
        (BY_FLOW, 0, Tunnel(0, HERE, None)),
        (BY_FLOW, layout.placed("tun_ipv6_dst", 9), Tunnel(0, None, IPv6Address(9))),
    ],
)
def test_what_the_port_fixes_wins_over_what_the_flow_set(
    topology: Topology, port: Port, packed: int, wanted: Tunnel
) -> None:
    assert left_through(Places(topology), BridgeId("a", "sw"), port, PacketState(packed)) == wanted


def test_the_option_is_what_the_flow_set_where_that_is_known(topology: Topology) -> None:
    def left(state: PacketState) -> int | None:
        return left_through(Places(topology), BridgeId("a", "sw"), BY_FLOW, state).option

    option = layout.placed("tun_metadata0", 0x30002)
    assert left(PacketState(SET | option)) == 0x30002
    assert left(PacketState(SET)) == 0
    assert left(PacketState(SET | option, layout.placed("tun_metadata0", 1))) is None
