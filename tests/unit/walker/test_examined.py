from collections.abc import Callable

from vtrace_ovs.model.actions import Conjunction, GotoTable, Output, SetField
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import ETH_DST
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import Hop, Step
from vtrace_ovs.model.wording import match_text
from vtrace_ovs.walker.examined import examined, looked_at
from vtrace_ovs.walker.network import BridgeView, Network
from vtrace_ovs.walker.walk import WalkStart, walk

MakeMatch = Callable[..., Match]
IP, TCP = 0x0800, 6


def fields(view: BridgeView, *found: tuple[int, Flow | None]) -> dict[str, int]:
    steps = tuple(Step(table_id, None if flow is None else flow.key, None, "") for table_id, flow in found)
    return {masked.field.name: masked.mask for masked in examined(view, Hop(BridgeId("a", "b"), 1, 1, steps=steps))}


def test_only_subtables_that_may_hold_a_better_flow_are_looked_at(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], match: MakeMatch
) -> None:
    best = flow(0, 9, match(eth_type=IP, ipv4_dst=(0x0A000000, 0xFF000000)), GotoTable(1))
    worse = flow(0, 3, match(eth_type=IP, ip_proto=TCP, tcp_dst=80), Output(2))
    view = BridgeView(tables(best, worse))
    assert fields(view, (0, best)) == {"eth_type": 0xFFFF, "ipv4_dst": 0xFF000000}
    assert fields(view, (0, worse)).keys() == {"eth_type", "ipv4_dst", "ip_proto", "tcp_dst"}
    assert fields(view, (0, None)) == fields(view, (0, worse))


def test_masks_of_all_lookups_add_up_but_registers_are_no_part_of_a_packet(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], match: MakeMatch
) -> None:
    low = flow(0, 1, match(tun_id=(1, 1), reg0=1), GotoTable(1))
    high = flow(1, 1, match(tun_id=(2, 2), metadata=1), Output(2))
    assert fields(BridgeView(tables(low, high)), (0, low), (1, high)) == {"tun_id": 3}


def test_conjunctions_look_at_every_clause(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], match: MakeMatch
) -> None:
    clause = flow(0, 1, match(eth_type=IP, nw_ttl=64), Conjunction(1, 0, 2))
    found = flow(0, 9, match(eth_type=IP, conj_id=1), Output(2))
    assert fields(BridgeView(tables(clause, found)), (0, found)).keys() == {"eth_type", "nw_ttl"}


def test_the_bits_looked_at_have_the_values_the_packet_came_in_with(
    tables: Callable[..., BridgeTables],
    flow: Callable[..., Flow],
    match: MakeMatch,
    headers: Callable[..., Headers],
    topology: Topology,
) -> None:
    rewriting = SetField(ETH_DST, 9, ETH_DST.full_mask)
    flows = flow(0, 1, match(eth_type=IP, reg0=0), rewriting, GotoTable(1)), flow(1, 1, match(eth_dst=9), Output(4))
    bridge = BridgeId("a", "sw")
    network = Network.build(topology, {bridge: tables(*flows)})
    way = walk(network, WalkStart(1, "p", 0, bridge, 1, headers()))
    (one,) = looked_at(network, way)
    assert (one.bridge, match_text(one.match)) == (bridge, "ip,in_port=1,dl_dst=00:00:00:00:00:02")
