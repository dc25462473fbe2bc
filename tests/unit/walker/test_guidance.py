from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import field
from vtrace_ovs.model.packet import FiveTuple, Headers
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import Ending, Hop
from vtrace_ovs.walker.guidance import Departure
from vtrace_ovs.walker.network import Network
from vtrace_ovs.walker.walk import WalkSettings, WalkStart, walk

SW = BridgeId("a", "sw")
ANY = act.OFPP_ANY
CAME = FiveTuple(6, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), 1000, 443)
TO_3 = replace(CAME, destination=IPv4Address("10.0.0.3"))
NAT = act.Nat(source=False, destination=True, range_text="10.0.0.2-10.0.0.3")
NEW = 0x21


def select(number: int, *buckets: tuple[act.Action, ...]) -> GroupEntry:
    return GroupEntry(number, GroupType.SELECT, tuple(Bucket(1, ANY, ANY, actions) for actions in buckets))


def output(*ports: int) -> tuple[tuple[act.Action, ...], ...]:
    return tuple((act.Output(port),) for port in ports)


@pytest.fixture
def first_hop(
    topology: Topology, tables: Callable[..., BridgeTables], headers: Callable[..., Headers]
) -> Callable[..., Hop]:
    """The last hop of the walk of a packet through one bridge, seen to leave it so."""

    def walked(flows: list[Flow], seen: set[Departure], *groups: GroupEntry) -> Hop:
        network = Network.build(topology, {SW: tables(*flows, groups=groups)})
        start = WalkStart(1, "p", 0, SW, 1, headers(), departures={(SW, 1): frozenset(seen)})
        return walk(network, start, WalkSettings(assumed_ct_state=NEW)).hops[-1]

    return walked


def test_the_only_bucket_that_fits_is_taken_and_named(first_hop: Callable[..., Hop], flow: Callable[..., Flow]) -> None:
    hop = first_hop([flow(0, 1, Match(), act.Group(5))], {Departure(4, None)}, select(5, *output(6, 4, 7)))
    assert (hop.out_port, hop.note) == (4, "group 5: observed bucket 1")


def test_two_groups_in_a_row_are_both_told_apart(first_hop: Callable[..., Hop], flow: Callable[..., Flow]) -> None:
    flows = [flow(0, 1, Match(), act.Group(5)), flow(1, 1, Match(), act.Group(6))]
    into = select(5, (act.SetField(field("ipv4_dst"), 0x0A000003, 0xFFFFFFFF), act.Resubmit(None, 1)), *output(4))
    hop = first_hop(flows, {Departure(4, TO_3)}, into, select(6, *output(6, 4)))
    assert (hop.out_port, hop.note) == (4, "group 5: observed bucket 0; group 6: observed bucket 1")


@pytest.mark.parametrize(
    ("actions", "seen"),
    [
        ((act.Group(5),), set()),
        ((act.Group(5),), {Departure(8, None)}),
        ((act.Output(4), act.Group(5)), {Departure(4, None)}),
        ((act.Group(5), act.Group(5)), {Departure(4, None)}),
    ],
    ids=["seen nowhere", "seen elsewhere", "left there anyway", "the same group again"],
)
def test_what_is_not_certain_stays_open(
    first_hop: Callable[..., Hop],
    flow: Callable[..., Flow],
    actions: tuple[act.Action, ...],
    seen: set[Departure],
) -> None:
    hop = first_hop([flow(0, 1, Match(), *actions)], seen, select(5, *output(6, 4)))
    assert hop.unsupported == "select group" or hop.out_port == 4
    assert hop.note is None or "observed" not in hop.note


def test_a_bucket_whose_own_way_is_open_may_be_the_one(
    first_hop: Callable[..., Hop], flow: Callable[..., Flow]
) -> None:
    group = select(5, *output(4), (act.Resubmit(None, 1),))
    hop = first_hop([flow(0, 1, Match(), act.Group(5)), flow(1, 1, Match(), act.Group(9))], {Departure(4, None)}, group)
    assert (hop.unsupported, hop.ending) == ("select group", Ending.UNKNOWN)


def translated(flow: Callable[..., Flow], match: Callable[..., Match], *more: act.Action) -> list[Flow]:
    tracked = act.Conntrack(commit=True, force=False, zone=1, table_id=1, nested=(NAT,))
    return [
        flow(0, 1, Match(), tracked),
        flow(1, 5, match(eth_type=0x800, ipv4_dst=0x0A000003), *more, act.Output(4)),
        flow(1, 4, match(eth_type=0x800, ipv4_dst=0x0A000002), *more, act.Output(6)),
    ]


def test_what_nat_chose_is_what_the_packet_left_with(
    first_hop: Callable[..., Hop], flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    hop = first_hop(translated(flow, match), {Departure(4, TO_3)})
    assert (hop.out_port, hop.note) == (4, "what nat wrote is as observed")
    assert hop.headers_out is not None
    assert hop.headers_out.five_tuple == TO_3


def test_what_was_written_again_behind_nat_tells_nothing_of_it(
    first_hop: Callable[..., Hop], flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    again = act.SetField(field("ipv4_dst"), 0x0A000003, 0xFFFFFFFF)
    hop = first_hop(translated(flow, match, again), {Departure(4, TO_3)})
    assert (hop.out_port, hop.ending) == (None, Ending.UNKNOWN)


def test_a_departure_by_another_port_leaves_nat_open(
    first_hop: Callable[..., Hop], flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    assert first_hop(translated(flow, match), {Departure(7, TO_3)}).ending is Ending.UNKNOWN
