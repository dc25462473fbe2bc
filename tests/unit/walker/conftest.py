"""Builders of packets, flows and small overlays for the walker's tests."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow, GroupEntry, PortDescription
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import field
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology


def matching(**wanted: int | tuple[int, int]) -> Match:
    pairs = {
        name: value if isinstance(value, tuple) else (value, field(name).full_mask) for name, value in wanted.items()
    }
    return Match.of(*(MaskedField(field(name), *pair) for name, pair in pairs.items()))


def make_flow(table_id: int, priority: int, match: Match, *instructions: act.Instruction | act.Action) -> Flow:
    """A flow; bare actions are applied in order."""
    whole: list[act.Instruction] = []
    applied = tuple(each for each in instructions if not isinstance(each, _INSTRUCTIONS))
    if applied:
        whole.append(act.ApplyActions(applied))
    whole += [each for each in instructions if isinstance(each, _INSTRUCTIONS)]
    return Flow(table_id, priority, match, tuple(whole), cookie=table_id * 1000 + priority)


_INSTRUCTIONS = (
    *(act.ApplyActions, act.WriteActions, act.ClearActions, act.GotoTable, act.WriteMetadata),
    *(act.Meter, act.UnknownInstruction),
)


def make_tables(*flows: Flow, groups: tuple[GroupEntry, ...] = (), down: tuple[int, ...] = ()) -> BridgeTables:
    """Tables of a bridge with ports 1 to 9."""
    ports = tuple(PortDescription(n, f"p{n}", "", link_down=n in down, admin_down=False) for n in range(1, 10))
    return BridgeTables(1, 0.0, flows, groups, (), ports)


def make_headers(destination: str = "10.0.0.2", *, port: int = 443, ttl: int = 64, vlan: int | None = None) -> Headers:
    """A TCP packet from 10.0.0.1:1000."""
    five_tuple = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address(destination), 1000, port)
    return Headers(
        "00:00:00:00:00:01", "00:00:00:00:00:02", 0x0800, 118, vlan, five_tuple, 0, 0, ttl, tcp_flags=2
    )  # fmt: skip


def make_topology() -> Topology:
    """Server a: sw (port 1 VM, 2 patch to rt, 3 tunnel), rt (1 patch, 2 edge); server b: sw (1 VM, 3 tunnel)."""
    place = ManagementSocket("")
    sw_a = (
        Port(1, "vm1", PortKind.EDGE, vm="vm1"),
        Port(2, "to-rt", PortKind.PATCH, peer="to-sw"),
        Port(3, "vx", PortKind.TUNNEL),
        Port(4, "mirror", PortKind.EDGE),
        Port(65534, "sw", PortKind.LOCAL),
    )
    rt_a = (Port(1, "to-sw", PortKind.PATCH, peer="to-rt"), Port(2, "out", PortKind.EDGE))
    sw_b = (Port(1, "vm2", PortKind.EDGE, vm="vm2"), Port(3, "vx", PortKind.TUNNEL))
    return Topology(
        (Node("a", "", (IPv4Address("198.18.0.1"),)), Node("b", "", (IPv4Address("198.18.0.2"),))),
        (
            Bridge(BridgeId("a", "sw"), 1, BridgeRole.VSWITCH, sw_a, place),
            Bridge(BridgeId("a", "rt"), 2, BridgeRole.VROUTER, rt_a, place),
            Bridge(BridgeId("b", "sw"), 3, BridgeRole.VSWITCH, sw_b, place),
        ),
    )


@pytest.fixture
def match() -> Callable[..., Match]:
    return matching


@pytest.fixture
def flow() -> Callable[..., Flow]:
    return make_flow


@pytest.fixture
def tables() -> Callable[..., BridgeTables]:
    return make_tables


@pytest.fixture
def headers() -> Callable[..., Headers]:
    return make_headers


@pytest.fixture
def topology() -> Topology:
    return make_topology()
