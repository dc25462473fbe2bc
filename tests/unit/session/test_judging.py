"""The prediction starts from what was logged of the packet, its connection's state too."""

from ipaddress import IPv4Address

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import CT_STATE, ETH_TYPE
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, Node, Port, PortKind, Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.session.judging import predict
from vtrace_ovs.walker.network import Network

BRIDGE = BridgeId("a", "sw")
ESTABLISHED = 0x22
HEADERS = Headers(
    "00:00:00:00:00:01", "00:00:00:00:00:02", 0x0800, 60,
    five_tuple=FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), 1, 2), dscp=0, ecn=0, ttl=64, tcp_flags=2,
)  # fmt: skip


def _record(loc: Loc, timestamp: float, ct_state: int = 0) -> PacketInRecord:
    return PacketInRecord(
        1, 7, BRIDGE, None, loc, "p", HEADERS.five_tuple, HEADERS, 1, 1, timestamp, ct_state=ct_state
    )  # fmt: skip


def _network() -> Network:
    ports = (Port(1, "vm1", PortKind.EDGE, vm="vm1"), Port(2, "vm2", PortKind.EDGE, vm="vm2"))
    topology = Topology((Node("a", "", ()),), (Bridge(BRIDGE, 1, BridgeRole.VSWITCH, ports, ManagementSocket("")),))
    ip = MaskedField(ETH_TYPE, 0x0800, 0xFFFF)
    established = Match.of(ip, MaskedField(CT_STATE, ESTABLISHED, ESTABLISHED))
    flows = (
        Flow(0, 1, Match.of(ip), (act.ApplyActions((act.Conntrack(False, False, 0, 1),)),)),
        Flow(1, 1, established, (act.ApplyActions((act.Output(2),)),)),
    )
    return Network.build(topology, {BRIDGE: BridgeTables(1, 0.0, flows)})


def _ending(*records: PacketInRecord) -> Ending:
    hops = (Hop(BRIDGE, 1, 1, seen=frozenset({Loc.IN})),)
    predicted = predict(_network(), Trajectory(7, "p", 0, Origin.OBSERVED, None, hops, Ending.OPEN), records)
    assert predicted is not None
    return predicted.ending


def test_a_fresh_packet_has_the_connection_state_that_was_logged_behind_conntrack() -> None:
    assert _ending(_record(Loc.IN, 1.0), _record(Loc.OUT, 1.1, ESTABLISHED)) is Ending.HANDED_TO_PORT


def test_without_any_log_behind_conntrack_the_prediction_stays_unknown() -> None:
    assert _ending(_record(Loc.IN, 1.0)) is Ending.UNKNOWN
    assert _ending(_record(Loc.OUT, 0.5, ESTABLISHED), _record(Loc.IN, 1.0)) is Ending.UNKNOWN
