"""Two compute servers with a VM each and a gateway with a vRouter; hops and trajectories as they would be stitched.

br-int of cs1 and cs2: port 1 a VM, port 2 a second VM, port 10 the tunnel, port 30 a patch to br-phy (underlay).
gw1: br-int (tunnel 10, patch 20) and vr-blue (patch 1).
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model import oxm
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.profile import CookieOwner, PipelineProfile, Stage, TableRole
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Step, Trajectory

VTEPS = {"cs1": IPv4Address("172.31.0.11"), "cs2": IPv4Address("172.31.0.12"), "gw1": IPv4Address("172.31.0.21")}
ADDRESSES = {"cs1": IPv4Address("10.0.1.11"), "cs2": IPv4Address("10.0.1.13")}
FIVE_TUPLE = FiveTuple(6, ADDRESSES["cs1"], ADDRESSES["cs2"], 40000, 443)
HEADERS = Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 74, five_tuple=FIVE_TUPLE, ttl=64)
PROFILE = PipelineProfile(
    "lab",
    (
        TableRole(0, "classify", Stage.CLASSIFY),
        TableRole(5, "anti-spoofing", Stage.ANTI_SPOOFING),
        TableRole(10, "routing", Stage.ROUTING),
        TableRole(20, "security-in", Stage.SECURITY),
        TableRole(30, "forwarding", Stage.FORWARDING),
    ),
    (CookieOwner(0x50, 0xF0, "security group rule {index}"),),
)


def _vswitch(node: str) -> tuple[Bridge, Bridge]:
    ports = (
        Port(1, f"tap-{node}", PortKind.EDGE, f"vm-{node}", (ADDRESSES[node],), "02:00:00:00:00:02", "blue", 101),
        Port(2, f"tap-{node}-b", PortKind.EDGE, f"vm-{node}-b", (IPv4Address("10.0.1.99"),)),
        Port(10, "vxlan0", PortKind.TUNNEL),
        Port(30, "to-phy", PortKind.PATCH, peer="to-int"),
    )
    phy = (Port(1, "to-int", PortKind.PATCH, peer="to-phy"),)
    socket = ManagementSocket(f"{node}.mgmt")
    return (
        Bridge(BridgeId(node, "br-int"), 1, BridgeRole.VSWITCH, ports, socket),
        Bridge(BridgeId(node, "br-phy"), 2, BridgeRole.UNDERLAY, phy, socket),
    )


def _topology() -> Topology:
    socket = ManagementSocket("gw1.mgmt")
    gateway = (Port(10, "vxlan0", PortKind.TUNNEL), Port(20, "to-blue", PortKind.PATCH, peer="up"))
    router = (Port(1, "up", PortKind.PATCH, peer="to-blue"),)
    bridges = (
        *_vswitch("cs1"),
        *_vswitch("cs2"),
        Bridge(BridgeId("gw1", "br-int"), 5, BridgeRole.VSWITCH, gateway, socket),
        Bridge(BridgeId("gw1", "vr-blue"), 6, BridgeRole.VROUTER, router, socket, tenant="blue"),
    )
    return Topology(tuple(Node(name, f"unix:{name}", (vtep,)) for name, vtep in VTEPS.items()), bridges)


@pytest.fixture(scope="session")
def topology() -> Topology:
    return _topology()


@pytest.fixture(scope="session")
def profile() -> PipelineProfile:
    return PROFILE


@pytest.fixture
def scene(topology: Topology) -> Scene:
    return Scene(topology, {bridge.id: PROFILE for bridge in topology.vfds()})


@pytest.fixture(scope="session")
def flow() -> Callable[..., FlowKey]:
    """A flow key: table, priority, and exact fields by name."""

    def build(table_id: int, priority: int, **fields: int) -> FlowKey:
        masked = (MaskedField(oxm.field(name), value, oxm.field(name).full_mask) for name, value in fields.items())
        return FlowKey(table_id, priority, Match.of(*masked))

    return build


@pytest.fixture(scope="session")
def tunnel() -> Callable[[str, str], Tunnel]:
    return lambda source, destination: Tunnel(101, VTEPS[source], VTEPS[destination])


@pytest.fixture(scope="session")
def hop() -> Callable[..., Hop]:
    """A hop seen (``logged``: "in", "in out", …), with the flow that decided, if any."""

    def build(where: str, mark: int, logged: str = "in out", step: Step | None = None, **more: object) -> Hop:
        node, name = where.split("/")
        whole = Hop(
            bridge=BridgeId(node, name),
            dscp_mark=mark,
            in_port=1 if mark == 1 else 10,
            parent=None if mark == 1 else mark - 2,
            headers_in=HEADERS,
            headers_out=HEADERS,
            steps=() if step is None else (step,),
            seen=frozenset(map(Loc, logged.split())),
        )
        return replace(whole, **more)  # type: ignore[arg-type]  # the caller names fields of Hop

    return build


@pytest.fixture(scope="session")
def way() -> Callable[..., Trajectory]:
    def build(ending: Ending, *hops: Hop, ambiguous: bool = False, predicted: bool = False) -> Trajectory:
        origin = Origin.PREDICTED if predicted else Origin.OBSERVED
        whole = (*hops[:-1], replace(hops[-1], ending=ending))
        return Trajectory(1, "p", 0, origin, FIVE_TUPLE, whole, ending, ambiguous)

    return build


@pytest.fixture
def opened(hop: Callable[..., Hop], way: Callable[..., Trajectory]) -> Trajectory:
    """Came in at cs1, and nothing more."""
    return way(Ending.OPEN, hop("cs1/br-int", 1, "in"))


@pytest.fixture
def sent(hop: Callable[..., Hop], way: Callable[..., Trajectory], tunnel: Callable[[str, str], Tunnel]) -> Trajectory:
    """Left cs1 by the tunnel to cs2, and nothing more."""
    return way(Ending.ON_WIRE, hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "cs2")))


@pytest.fixture
def patched(
    hop: Callable[..., Hop], way: Callable[..., Trajectory], tunnel: Callable[[str, str], Tunnel]
) -> Trajectory:
    """Left the gateway's br-int by the patch port to its vRouter, and nothing more."""
    first = hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "gw1"))
    return way(Ending.ON_WIRE, first, hop("gw1/br-int", 2, out_port=20))


@pytest.fixture
def foresee(hop: Callable[..., Hop], way: Callable[..., Trajectory]) -> Callable[..., Trajectory]:
    """A prediction of one hop at cs1."""

    def build(ending: Ending = Ending.DROPPED, **more: object) -> Trajectory:
        return way(ending, hop("cs1/br-int", 1, "", **more), predicted=True)

    return build
