from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import field, sized
from vtrace_ovs.model.packet import Headers, Tunnel
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import DropShape, Ending, Origin, Trajectory
from vtrace_ovs.walker.network import Network
from vtrace_ovs.walker.walk import WalkSettings, WalkStart, walk

SW, RT, FAR = BridgeId("a", "sw"), BridgeId("a", "rt"), BridgeId("b", "sw")
HERE, THERE, NOWHERE = (IPv4Address(f"198.18.0.{n}") for n in (1, 2, 9))
Go = Callable[..., Trajectory]


@pytest.fixture
def go(topology: Topology, tables: Callable[..., BridgeTables], headers: Callable[..., Headers]) -> Go:
    """Walk from port 1 of a/sw (or from ``start``'s changes) over these flows of each bridge."""

    def walked(
        flows: dict[BridgeId, list[Flow]],
        settings: WalkSettings | None = None,
        **start: Any,  # noqa: ANN401 - fields of a WalkStart
    ) -> Trajectory:
        network = Network.build(topology, {bridge: tables(*each) for bridge, each in flows.items()})
        given = replace(WalkStart(7, "p", 2, SW, 1, headers()), **start)
        return walk(network, given, settings or WalkSettings())

    return walked


@pytest.fixture
def to(flow: Callable[..., Flow], match: Callable[..., Match]) -> Callable[..., Flow]:
    """``to(port, *before)``: a flow of table 0 that runs ``before`` and outputs."""
    return lambda port, *before, priority=1, **wanted: flow(0, priority, match(**wanted), *before, act.Output(port))


def tunnel(vni: int, address: IPv4Address) -> tuple[act.Action, ...]:
    return act.SetTunnelId(vni), act.SetField(field("tun_dst"), int(address), 0xFFFFFFFF)


def test_a_packet_crosses_a_patch_and_a_tunnel_to_a_vm(go: Go, to: Callable[..., Flow]) -> None:
    way = go({
        SW: [to(2, in_port=1), to(3, *tunnel(5001, THERE), in_port=2, priority=2)],
        RT: [to(act.OFPP_IN_PORT, act.DecTtl())],
        FAR: [to(1, in_port=3, tun_id=5001, tun_src=int(HERE), nw_ttl=63, eth_type=0x800)],
    })  # fmt: skip
    assert (way.task_id, way.packet_id, way.occurrence, way.origin) == (7, "p", 2, Origin.PREDICTED)
    assert [(hop.bridge, hop.dscp_mark, hop.in_port, hop.out_port, hop.parent) for hop in way.hops] == [
        (SW, 1, 1, 2, None), (RT, 2, 1, 1, 0), (SW, 3, 2, 3, 1), (FAR, 4, 3, 1, 2),
    ]  # fmt: skip
    assert way.hops[2].left_by == way.hops[3].arrived_by == Tunnel(5001, HERE, THERE)
    assert [hop.ending for hop in way.hops] == [None, None, None, Ending.HANDED_TO_PORT]
    assert way.ending is Ending.HANDED_TO_PORT
    assert way.hops[3].headers_in is not None
    assert way.hops[3].headers_in.ttl == 63


def test_a_mirror_is_a_branch_and_the_vm_is_last(go: Go, to: Callable[..., Flow]) -> None:
    way = go({SW: [to(4, act.Output(2))], RT: []})
    assert [(hop.out_port, hop.ending) for hop in way.hops] == [
        (2, None),
        (None, Ending.DROPPED),
        (4, Ending.HANDED_TO_PORT),
    ]
    assert way.hops[1].drop is DropShape.NO_MATCH
    assert way.hops[1].parent == 0


def test_the_local_port_leaves_the_overlay(go: Go, to: Callable[..., Flow]) -> None:
    assert go({SW: [to(act.OFPP_LOCAL)]}).ending is Ending.EXITED


def test_a_bridge_nobody_read_is_unknown(go: Go, to: Callable[..., Flow]) -> None:
    way = go({SW: [to(2)]})
    assert way.ending is Ending.UNKNOWN
    assert way.hops[-1].bridge == RT
    assert way.hops[-1].note == "the tables of a/rt are not known"
    assert go({}).hops[0].note == "the tables of a/sw are not known"


@pytest.mark.parametrize(
    ("address", "ending", "note"),
    [
        (NOWHERE, Ending.UNKNOWN, "no server of the inventory has VTEP 198.18.0.9"),
        (IPv4Address(0), Ending.DROPPED, "no tunnel destination is set"),
    ],
)
def test_a_tunnel_that_leads_nowhere_says_so(
    go: Go, to: Callable[..., Flow], address: IPv4Address, ending: Ending, note: str
) -> None:
    way = go({SW: [to(3, *tunnel(5001, address))]})
    assert (way.ending, way.hops[0].note) == (ending, note)


def test_a_server_without_a_port_for_the_vni_never_takes_the_packet_in(
    topology: Topology, tables: Callable[..., BridgeTables], headers: Callable[..., Headers], to: Callable[..., Flow]
) -> None:
    near, rt, far = topology.bridges
    picky = replace(far, ports=tuple(replace(port, key=7) for port in far.ports))
    network = Network.build(
        replace(topology, bridges=(near, rt, picky)), {SW: tables(to(3, *tunnel(5001, THERE))), FAR: tables()}
    )
    way = walk(network, WalkStart(7, "p", 0, SW, 1, headers()))
    assert way.ending is Ending.ON_WIRE
    assert way.hops[0].note == "no tunnel port of b (198.18.0.2) accepts VNI 5001"


def test_ovs_does_not_tunnel_to_the_address_a_packet_came_in_by(go: Go, to: Callable[..., Flow]) -> None:
    arrived = Tunnel(5001, THERE, HERE)
    way = go({SW: [to(act.OFPP_IN_PORT)]}, in_port=3, tunnel=arrived)
    assert (way.ending, way.hops[0].drop) == (Ending.DROPPED, DropShape.OUTPUT_TO_INGRESS)
    way = go({SW: [to(act.OFPP_IN_PORT, *tunnel(5001, THERE))], FAR: [to(1)]}, in_port=3, tunnel=arrived)
    assert way.ending is Ending.HANDED_TO_PORT


def test_the_same_packet_at_the_same_port_is_a_loop(go: Go, to: Callable[..., Flow]) -> None:
    way = go({SW: [to(2), to(act.OFPP_IN_PORT, in_port=2, priority=5)], RT: [to(act.OFPP_IN_PORT)]})
    assert way.ending is Ending.LOOPED
    assert [hop.bridge for hop in way.hops] == [SW, RT, SW, RT]


def test_a_loop_that_decrements_the_ttl_ends_by_ttl_or_by_too_many_hops(go: Go, to: Callable[..., Flow]) -> None:
    loop = {
        SW: [to(2), to(act.OFPP_IN_PORT, in_port=2, priority=5)],
        RT: [to(act.OFPP_IN_PORT, act.DecTtl(), eth_type=0x800)],
    }
    long = go(loop, WalkSettings(max_hops=10))
    assert (long.ending, len(long.hops), long.hops[-1].note) == (Ending.LOOPED, 11, "more than 10 hops")
    assert go(loop, WalkSettings(max_hops=200)).hops[-1].drop is DropShape.TTL_EXCEEDED


def test_branching_without_end_is_bounded(go: Go, to: Callable[..., Flow]) -> None:
    change = act.SetField(field("eth_src"), 1, 0xFF)
    flows = {
        SW: [
            to(2, act.Output(2)),
            to(2, act.DecTtl(), act.Output(act.OFPP_IN_PORT), in_port=2, eth_type=0x800, priority=5),
        ],
        RT: [to(act.OFPP_IN_PORT, change, act.Output(act.OFPP_IN_PORT))],
    }
    way = go(flows, WalkSettings(max_branches=20))
    assert len(way.hops) < 100
    assert any(hop.note == "more than 20 bridge visits" for hop in way.hops)


def test_the_logged_connection_state_counts_where_it_was_logged_and_an_assumed_one_elsewhere(
    go: Go, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    track = flow(0, 1, match(), act.Conntrack(False, False, 0, 1))
    sends = (
        flow(1, 1, match(ct_state=(0x22, 0x22)), act.Output(2)),
        flow(1, 2, match(ct_state=(0x21, 0x21)), act.Output(2)),
    )
    flows = {SW: [track, *sends], RT: [track, *sends]}
    assert go(flows, ct_state=0x22).hops[-1].bridge == RT
    assert go(flows, ct_state=0x22).ending is Ending.UNKNOWN
    assert go(flows).hops[-1].bridge == SW
    assert go(flows, WalkSettings(assumed_ct_state=0x21)).ending is Ending.HANDED_TO_PORT


def test_a_tunnel_carries_its_option_and_a_start_in_a_tunnel_knows_none(go: Go, to: Callable[..., Flow]) -> None:
    option = sized(field("tun_metadata0"), 4)
    carried = act.SetField(option, 0x30002, 0xFFFFFFFF)
    wanted = Match.of(MaskedField(option, 0x30002, 0xFFFFFFFF))
    flows = {
        SW: [to(3, *tunnel(5001, THERE), carried)],
        FAR: [Flow(0, 5, wanted, (act.ApplyActions((act.Output(1),)),)), to(3, *tunnel(5001, HERE))],
    }
    assert go(flows).hops[-1].out_port == 1
    arriving = go(flows, bridge=FAR, in_port=3, tunnel=Tunnel(5001, HERE, THERE))
    assert arriving.last is not None
    assert arriving.last.note == "the flows here match on tun_metadata0, and its value is not known"


def test_an_assumed_mark_is_that_of_older_connections(
    go: Go, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    flows = {
        SW: [flow(0, 1, match(), act.Conntrack(False, False, 0, 1)), flow(1, 1, match(ct_mark=(0, 1)), act.Output(4))]
    }
    older = WalkSettings(assumed_ct_state=0x22)
    assert go(flows, older).ending is Ending.UNKNOWN
    assert go(flows, replace(older, assumed_ct_mark=2)).ending is Ending.HANDED_TO_PORT
    assert go(flows, replace(older, assumed_ct_mark=1)).ending is Ending.DROPPED


@pytest.mark.parametrize(
    ("flags", "note"),
    [({1: "no_receive"}, "port 1 is set to no-receive"), ({4: "no_forward"}, "port 4 is set to no-forward")],
    ids=["where it comes in", "where it goes out"],
)
def test_ports_that_are_set_to_carry_nothing_end_the_way_as_not_known(
    topology: Topology,
    tables: Callable[..., BridgeTables],
    headers: Callable[..., Headers],
    to: Callable[..., Flow],
    flags: dict[int, str],
    note: str,
) -> None:
    plain = tables(to(4))
    set_to: dict[int, dict[str, Any]] = {ofport: {flag: True} for ofport, flag in flags.items()}
    ports = tuple(replace(port, **set_to.get(port.ofport, {})) for port in plain.ports)
    way = walk(Network.build(topology, {SW: replace(plain, ports=ports)}), WalkStart(7, "p", 2, SW, 1, headers()))
    assert way.ending is Ending.UNKNOWN
    assert note in (way.hops[-1].note or "")
