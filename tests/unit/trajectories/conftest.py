"""Two tenants with the same addresses on two compute servers and a gateway, and records as VFDs would log them.

cs1/br-int and cs2/br-int: edge port 1 (blue, VNI 101), 2 (red, VNI 201), tunnel port 10. gw1/br-int: tunnel port 10,
patch 20 to gw1/vr-blue (its port 1), patch 21 to gw1/vr-red.
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count

import pytest

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology

CLIENT, SERVER = IPv4Address("10.0.1.11"), IPv4Address("10.0.1.13")
VTEPS = {"cs1": IPv4Address("172.31.0.11"), "cs2": IPv4Address("172.31.0.12"), "gw1": IPv4Address("172.31.0.21")}
FIVE_TUPLE = FiveTuple(6, CLIENT, SERVER, 40000, 443)
HEADERS = Headers(
    eth_src="02:00:00:00:00:01",
    eth_dst="02:00:00:00:00:02",
    eth_type=0x0800,
    length=74,
    five_tuple=FIVE_TUPLE,
    dscp=0,
    ecn=0,
    ttl=64,
    ip_id=7,
    tcp_seq=1,
    tcp_ack=0,
    tcp_flags=2,
    payload=b"hello",
)


def _vswitch(node: str, address: IPv4Address, *, named: bool) -> Bridge:
    addresses = (address,)
    return Bridge(
        BridgeId(node, "br-int"),
        1,
        BridgeRole.VSWITCH,
        (
            Port(
                1, f"blue-{node}", PortKind.EDGE, f"blue-{node}", addresses, tenant="blue" if named else None, vni=101
            ),
            Port(2, f"red-{node}", PortKind.EDGE, f"red-{node}", addresses, tenant="red" if named else None, vni=201),
            Port(10, "vxlan0", PortKind.TUNNEL),
        ),
        ManagementSocket(f"{node}.mgmt"),
    )


def _topology(*, named: bool) -> Topology:
    gateway = Bridge(
        BridgeId("gw1", "br-int"),
        3,
        BridgeRole.VSWITCH,
        (
            Port(10, "vxlan0", PortKind.TUNNEL),
            Port(20, "to-blue", PortKind.PATCH, peer="blue-up"),
            Port(21, "to-red", PortKind.PATCH, peer="red-up"),
        ),
        ManagementSocket("gw1.mgmt"),
    )
    vrouters = tuple(
        Bridge(
            BridgeId("gw1", f"vr-{tenant}"),
            dpid,
            BridgeRole.VROUTER,
            (Port(1, f"{tenant}-up", PortKind.PATCH, peer=f"to-{tenant}"),),
            ManagementSocket(f"vr-{tenant}.mgmt"),
            tenant=tenant if named else None,
        )
        for dpid, tenant in enumerate(("blue", "red"), start=4)
    )
    nodes = tuple(Node(name, f"unix:{name}.sock", (vtep,)) for name, vtep in VTEPS.items())
    compute = (_vswitch("cs1", CLIENT, named=named), _vswitch("cs2", SERVER, named=named))
    return Topology(nodes, (*compute, gateway, *vrouters))


@pytest.fixture(scope="session")
def topology() -> Topology:
    return _topology(named=True)


@pytest.fixture(scope="session")
def nameless() -> Topology:
    """The same, but the inventory names no tenants."""
    return _topology(named=False)


@pytest.fixture(scope="session")
def headers() -> Headers:
    return HEADERS


@pytest.fixture(scope="session")
def tunnel() -> Callable[[int, str, str], Tunnel]:
    return lambda vni, source, destination: Tunnel(vni, VTEPS[source], VTEPS[destination])


@pytest.fixture(scope="session")
def flow() -> Callable[[int, int], FlowKey]:
    return lambda table_id, priority: FlowKey(table_id, priority, Match())


Record = Callable[..., PacketInRecord]


@pytest.fixture
def record() -> Record:
    sequence = count()

    def build(  # noqa: PLR0913, PLR0917 - a record has that many sides
        where: str,
        mark: int,
        loc: Loc,
        in_port: int,
        out_port: int | None = None,
        tunnel: Tunnel | None = None,
        at: float | None = None,
        task: int = 1,
        packet: str = "p",
        flow: FlowKey | None = None,
        headers: Headers = HEADERS,
    ) -> PacketInRecord:
        node, name = where.split("/")
        number = next(sequence)
        return PacketInRecord(
            sequence=number,
            task_id=task,
            bridge=BridgeId(node, name),
            node_ip=VTEPS[node],
            loc=loc,
            packet_id=packet,
            five_tuple=headers.five_tuple,
            headers=headers,
            dscp_mark=mark,
            in_port=in_port,
            timestamp=number / 1000 if at is None else at,
            out_port=out_port,
            tunnel=tunnel,
            flow=flow,
            table_id=None if flow is None else flow.table_id,
        )

    return build


@pytest.fixture
def direct(record: Record) -> Callable[..., list[PacketInRecord]]:
    """cs1 → cs2 inside one subnet: four records."""

    def build(tenant: str = "blue", at: float = 0.0, **more: object) -> list[PacketInRecord]:
        port, vni = (1, 101) if tenant == "blue" else (2, 201)
        through = Tunnel(vni, VTEPS["cs1"], VTEPS["cs2"])
        return [
            record("cs1/br-int", 1, Loc.IN, port, at=at, **more),
            record("cs1/br-int", 1, Loc.OUT, port, 10, through, at=at + 0.001, **more),
            record("cs2/br-int", 2, Loc.IN, 10, None, through, at=at + 0.002, **more),
            record("cs2/br-int", 2, Loc.OUT, 10, port, at=at + 0.003, **more),
        ]

    return build


@pytest.fixture
def routed(record: Record) -> Callable[..., list[PacketInRecord]]:
    """cs1 → gw1 br-int → vRouter → gw1 br-int → cs2: ten records over five hops, the gateway visited twice."""

    def build(tenant: str = "blue", at: float = 0.0, **more: object) -> list[PacketInRecord]:
        port, vni, patch = (1, 101, 20) if tenant == "blue" else (2, 201, 21)
        up, down = Tunnel(vni, VTEPS["cs1"], VTEPS["gw1"]), Tunnel(vni, VTEPS["gw1"], VTEPS["cs2"])
        routed_headers = replace(HEADERS, eth_src="02:00:00:00:00:fe", eth_dst="02:00:00:00:00:03", ttl=63)
        router = f"gw1/vr-{tenant}"
        steps: list[tuple[str, int, Loc, int, int | None, Tunnel | None, Headers]] = [
            ("cs1/br-int", 1, Loc.IN, port, None, None, HEADERS),
            ("cs1/br-int", 1, Loc.OUT, port, 10, up, HEADERS),
            ("gw1/br-int", 2, Loc.IN, 10, None, up, HEADERS),
            ("gw1/br-int", 2, Loc.OUT, 10, patch, None, HEADERS),
            (router, 3, Loc.IN, 1, None, None, HEADERS),
            (router, 3, Loc.OUT, 1, 0xFFFFFFF8, None, routed_headers),
            ("gw1/br-int", 4, Loc.IN, patch, None, None, routed_headers),
            ("gw1/br-int", 4, Loc.OUT, patch, 10, down, routed_headers),
            ("cs2/br-int", 5, Loc.IN, 10, None, down, routed_headers),
            ("cs2/br-int", 5, Loc.OUT, 10, port, None, routed_headers),
        ]
        return [
            record(where, mark, loc, in_port, out_port, through, at=at + n / 1000, headers=headers, **more)
            for n, (where, mark, loc, in_port, out_port, through, headers) in enumerate(steps)
        ]

    return build
