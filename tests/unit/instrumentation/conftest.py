"""Small bridges and sites, in the model's own words."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.instrumentation.entrance import Entrance
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.plan import (
    ArmedTask,
    BridgePlan,
    PrivateMeters,
    PrivateTables,
    Scene,
    Settings,
    SourcePorts,
)
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.instrumentation.probes import ProbeBook
from vtrace_ovs.instrumentation.site import Lifetimes, Site
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.actions import ApplyActions, Output
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import REGISTERS
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

Sites = Callable[..., Site]
HERE, PEER, FAR, UNARMED = (BridgeId("s1", "br0"), BridgeId("s1", "rt"), BridgeId("s2", "br0"), BridgeId("s3", "br0"))


@pytest.fixture
def bridge() -> Bridge:
    return Bridge(
        HERE,
        1,
        BridgeRole.VSWITCH,
        (
            Port(1, "vm1", PortKind.EDGE, vm="vm1", tenant="red", vni=5001),
            Port(2, "to-rt", PortKind.PATCH, peer="to-br0"),
            Port(3, "vx", PortKind.TUNNEL),
            Port(4, "to-s2", PortKind.TUNNEL, remote=IPv4Address("192.0.2.2"), key=7),
            Port(5, "to-s3", PortKind.TUNNEL, remote=IPv4Address("192.0.2.3")),
            Port(6, "vm6", PortKind.EDGE, vm="vm6", tenant="red", vni=5002),
        ),
        ManagementSocket(""),
    )


@pytest.fixture
def topology(bridge: Bridge) -> Topology:
    tunnel = (Port(1, "vx", PortKind.TUNNEL),)
    return Topology(
        tuple(Node(f"s{n}", "", (IPv4Address(f"192.0.2.{n}"),)) for n in (1, 2, 3)),
        (
            bridge,
            Bridge(
                PEER, 2, BridgeRole.VROUTER, (Port(1, "to-br0", PortKind.PATCH, peer="to-rt"),), ManagementSocket("")
            ),
            Bridge(FAR, 3, BridgeRole.VSWITCH, tunnel, ManagementSocket("")),
            Bridge(UNARMED, 4, BridgeRole.VSWITCH, tunnel, ManagementSocket("")),
        ),
    )


@pytest.fixture
def scene(topology: Topology) -> Scene:
    return Scene(topology, frozenset({HERE, PEER, FAR}), MarkPlan.of())


@pytest.fixture
def task() -> ArmedTask:
    return ArmedTask(
        slot=5,
        filter=Filter("tcp", protocol=6, source=IPv4Network("10.0.1.1/32"), destination_port=443),
        sources=(SourcePorts(HERE, frozenset({1})),),
        packet_count=10,
        deadline=100.0,
        vnis=frozenset({5001}),
    )


@pytest.fixture
def settings() -> Settings:
    return Settings(controller_id=77, generation=3)


@pytest.fixture
def tables() -> BridgeTables:
    """A production of one flow."""
    return BridgeTables(1, 0.0, (Flow(0, 1, Match(), (ApplyActions((Output(1),)),)),))


@pytest.fixture
def installed(bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask, tables: BridgeTables) -> BridgePlan:
    return plan_bridge(bridge, tables, (task,), scene, settings=settings, now=0.0)


@pytest.fixture
def site(bridge: Bridge, scene: Scene, task: ArmedTask, settings: Settings) -> Site:
    book = ProbeBook(settings, PrivateMeters(1, 2))
    tables = PrivateTables(253, 252, 251)
    state, lifetimes = StateField(REGISTERS[15]), Lifetimes(40, 35, {5: 30})
    return Site(bridge, (task,), scene, settings, state, tables, book, lifetimes, Entrance())
