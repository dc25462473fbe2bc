from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.agreement import agreement, server_visits
from vtrace_ovs.model.agreement import Lookup, OvsTrace
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Origin, Step, Trajectory

SW, RT, FAR, PHY = BridgeId("s1", "sw"), BridgeId("s1", "rt"), BridgeId("s2", "sw"), BridgeId("s1", "phy")
VFDS = (SW, RT, FAR)
TUNNEL = Tunnel(5, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
MATCH = Match.of(MaskedField(TCP_DST, 443, 0xFFFF))


def step(table_id: int, cookie: int = 1, match: Match = MATCH) -> Step:
    return Step(table_id, FlowKey(table_id, 9, match), cookie, "")


def miss(table_id: int) -> Step:
    return Step(table_id, None, None, "")


def lookup(table_id: int, cookie: int = 1, bridge: str = "sw", match: Match | None = MATCH) -> Lookup:
    return Lookup(bridge, table_id, 9, cookie, match, f"tcp, priority 9, cookie {cookie:#x}")


def trace(*lookups: Lookup, forwards: bool = True, notes: tuple[str, ...] = ()) -> OvsTrace:
    return OvsTrace(lookups, "", "", ("1" if forwards else "drop",), forwards, notes)


def way(*hops: Hop) -> Trajectory:
    return Trajectory(0, "p", 0, Origin.PREDICTED, None, hops, hops[-1].ending or Ending.UNKNOWN)


def hop(bridge: BridgeId, *steps: Step, parent: int | None = None, ending: Ending | None = None) -> Hop:
    return Hop(bridge, 1, 1, out_port=2, steps=steps, parent=parent, ending=ending)


DELIVERED = way(hop(SW, step(0), step(5), ending=Ending.HANDED_TO_PORT))


def test_a_stay_ends_where_a_tunnel_begins() -> None:
    first = hop(SW, step(0))
    second = replace(hop(RT, step(0, 2), parent=0), left_by=TUNNEL)
    third = replace(hop(FAR, step(0, 3), parent=1, ending=Ending.HANDED_TO_PORT), arrived_by=TUNNEL)
    visits = server_visits(way(first, second, third))
    assert [(visit.entry.bridge, len(visit.hops), visit.in_order) for visit in visits] == [
        (SW, 2, True), (FAR, 1, True),
    ]  # fmt: skip
    assert [(bridge, one.cookie) for bridge, one in visits[0].steps] == [(SW, 1), (RT, 2)]
    assert agreement(visits[0], trace(lookup(0), lookup(0, 2, "rt"), lookup(0, bridge="phy")), VFDS).agrees


def test_two_hops_of_one_visit_share_their_first_lookups() -> None:
    dropped = hop(SW, step(0), step(5), step(6), ending=Ending.DROPPED)
    output = hop(SW, step(0), step(5), ending=Ending.HANDED_TO_PORT)
    (visit,) = server_visits(way(dropped, output))
    assert [one.table_id for _, one in visit.steps] == [0, 5, 6]
    assert not visit.in_order
    found = agreement(visit, trace(lookup(5), lookup(0), lookup(6), lookup(7)), VFDS)
    assert (found.agrees, found.sentence) == (True, "agree: 3 lookups as in Open vSwitch, which forwards the packet")
    assert agreement(visit, trace(lookup(0), lookup(5)), VFDS).agrees is False


def test_the_same_lookups_and_end_agree() -> None:
    (visit,) = server_visits(DELIVERED)
    found = agreement(visit, trace(lookup(0), lookup(5), lookup(7)), VFDS)
    assert (found.agrees, found.entry, found.table_id) == (True, SW, None)


@pytest.mark.parametrize(
    "theirs",
    [
        lookup(5, 2),
        lookup(6),
        lookup(5, match=Match()),
        replace(lookup(5), priority=8),
        replace(lookup(5), priority=None),
    ],
)
def test_the_first_other_lookup_is_where_they_part(theirs: Lookup) -> None:
    (visit,) = server_visits(DELIVERED)
    found = agreement(visit, trace(lookup(0), theirs), VFDS)
    assert (found.agrees, found.bridge, found.table_id) == (False, SW, 5)
    assert found.sentence.startswith("differ at s1/sw, table 5: the walker says table=5, cookie=0x1, priority=9,tp_dst")


def test_a_lookup_open_vswitch_does_not_make_is_named() -> None:
    (visit,) = server_visits(DELIVERED)
    found = agreement(visit, trace(lookup(0)), VFDS)
    assert found.sentence.endswith("Open vSwitch says nothing: it makes no such lookup")


def test_a_match_that_could_not_be_read_is_no_difference() -> None:
    (visit,) = server_visits(DELIVERED)
    assert agreement(visit, trace(lookup(0, match=None), lookup(5)), VFDS).agrees


def test_another_flow_of_the_same_priority_is_open() -> None:
    (visit,) = server_visits(way(hop(SW, replace(step(0), ambiguous=True), ending=Ending.HANDED_TO_PORT)))
    assert agreement(visit, trace(lookup(0, 7, match=Match())), VFDS).agrees


def test_a_miss_is_a_miss_in_either_wording() -> None:
    (visit,) = server_visits(way(hop(SW, miss(0), ending=Ending.DROPPED)))
    plain = Lookup("sw", 0, None, 0, None, "No match.")
    internal = Lookup("sw", 254, 0, 0, None, "reg0=0x2, priority 0")
    assert agreement(visit, trace(plain, forwards=False), VFDS).agrees
    assert agreement(visit, trace(internal, forwards=False), VFDS).agrees
    assert "the walker says no flow matches" in agreement(visit, trace(lookup(0)), VFDS).sentence


def test_another_end_after_the_same_lookups_is_a_difference() -> None:
    (visit,) = server_visits(DELIVERED)
    found = agreement(visit, trace(lookup(0), lookup(5), forwards=False), VFDS)
    assert (found.agrees, found.table_id) == (False, None)
    assert found.sentence == "differ after 2 lookups: the walker forwards the packet, Open vSwitch drops it"


def test_a_neighbour_that_is_not_resolved_yet_says_nothing_about_the_tables() -> None:
    (visit,) = server_visits(DELIVERED)
    waiting = trace(lookup(0), lookup(5), forwards=False, notes=("neighbor cache miss for 192.0.2.2",))
    assert agreement(visit, waiting, VFDS).agrees


def test_what_the_walk_leaves_open_is_compared_as_far_as_it_goes() -> None:
    stopped = replace(hop(SW, step(0), ending=Ending.UNKNOWN), drop=DropShape.UNSUPPORTED, unsupported="learn")
    (visit,) = server_visits(way(stopped))
    found = agreement(visit, trace(lookup(0), lookup(9)), VFDS)
    assert (found.agrees, found.sentence) == (True, "agree: 1 lookup as in Open vSwitch, as far as the walk goes")


def test_a_packet_that_leaves_by_a_tunnel_is_forwarded() -> None:
    first = replace(hop(SW, step(0)), left_by=TUNNEL)
    second = replace(hop(FAR, step(0), parent=0, ending=Ending.DROPPED), arrived_by=TUNNEL)
    near, far = server_visits(way(first, second))
    assert agreement(near, trace(lookup(0)), VFDS).agrees
    assert agreement(far, trace(lookup(0), forwards=False), VFDS).agrees
