from collections.abc import Callable

import pytest

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import (
    DropShape,
    Ending,
    HeaderChange,
    Hop,
    NearMiss,
    Origin,
    Step,
    Trajectory,
)
from vtrace_ovs.model.verdict import Culprit, Disposition, Verdict
from vtrace_ovs.rendering.lines import plain_text, tree
from vtrace_ovs.rendering.path import decisive, near_miss_phrase, origin_phrase, path_branches, route_phrase

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]

FLOW = FlowKey(5, 100, Match())
NEAR = NearMiss(FLOW, 0x9, (("tcp_dst", "80", "443"),))
STEPS = (Step(0, FlowKey(0, 1, Match()), 0x1, "goto_table:5"), Step(5, FLOW, 0x2, "drop", near_misses=(NEAR,)))


def drawn(trajectory: Trajectory, verdict: Verdict, detail: int = 0) -> str:
    return plain_text(tree(path_branches(trajectory, verdict, detail)))


def test_hops_are_grouped_by_server_in_order(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(
        hop("server1/br-int"),
        hop("server1/br-ex", parent=0),
        hop("server2/br-int", parent=1, out_port=7),
    )
    assert drawn(trajectory, verdict()).splitlines() == [
        "├─ server1",
        "│  ├─ ✓ br-int  in port 3",
        "│  └─ ✓ br-ex  in port 3",
        "└─ server2",
        "   └─ ✓ br-int  in port 3 → out port 7",
        "      └─ handed to port 7",
    ]
    assert route_phrase(trajectory) == "server1/br-int → server1/br-ex → server2/br-int"


def test_a_copy_says_which_hop_it_comes_from(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop("a/x"), hop("b/x", parent=0), hop("c/x", parent=0))
    assert drawn(trajectory, verdict()).count("a copy from a/x") == 1


def test_without_detail_only_the_deciding_flow_is_shown(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop(steps=STEPS, drop=DropShape.EXPLICIT_DROP), ending=Ending.DROPPED)
    screen = drawn(trajectory, verdict(Disposition.DROPPED))
    assert "tables 0 → 5 ✗" in screen
    assert "✗ table=5, cookie=0x2, priority=100" in screen
    assert "table=0" not in screen
    assert "near miss" not in screen


def test_detail_shows_every_flow_then_near_misses(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop(steps=STEPS, drop=DropShape.EXPLICIT_DROP), ending=Ending.DROPPED)
    once = drawn(trajectory, verdict(Disposition.DROPPED), 1)
    assert "✓ table=0, priority=1" in once
    assert "actions=goto_table:5" in once
    assert "near miss" not in once
    twice = drawn(trajectory, verdict(Disposition.DROPPED), 2)
    assert "would have matched but for tcp_dst: the packet has 443, the flow wants 80" in twice
    assert "hop 1; records: none" in twice


def test_the_deciding_lookup_is_not_always_the_last(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop(steps=STEPS, deciding=0, drop=DropShape.PORT_DOWN), ending=Ending.DROPPED)
    screen = drawn(trajectory, verdict(Disposition.DROPPED))
    assert "tables 0 ✗ → 5" in screen
    assert "✗ table=0, cookie=0x1" in screen


def test_the_culprit_s_table_has_its_name(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    culprit = Culprit("server1", BridgeId("server1", "br-int"), 5, "acl")
    trajectory = way(hop(steps=STEPS, drop=DropShape.EXPLICIT_DROP), ending=Ending.DROPPED)
    assert "✗ acl: table=5" in drawn(trajectory, verdict(Disposition.DROPPED, culprit=culprit))


def test_a_lookup_that_found_nothing_says_so(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop(steps=(Step(7, None, None, ""),), drop=DropShape.NO_MATCH), ending=Ending.DROPPED)
    assert "✗ table=7, no flow matches" in drawn(trajectory, verdict(Disposition.DROPPED))


def test_an_open_end_is_a_loss_only_where_the_verdict_says_so(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trajectory = way(hop(), ending=Ending.OPEN)
    assert "✗ br-int" in drawn(trajectory, verdict(Disposition.LOST_IN_VFD))
    assert "? br-int" in drawn(trajectory, verdict(Disposition.INCONCLUSIVE))


def test_loss_on_the_wire_says_where_the_packet_was_sent(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    culprit = Culprit("server1", BridgeId("server1", "br-int"), next_node="server2")
    screen = drawn(way(hop(), ending=Ending.ON_WIRE), verdict(Disposition.LOST_ON_WIRE, culprit=culprit))
    assert screen.splitlines()[-1].endswith("└─ ✗ sent to server2, and never seen again")


def test_each_branch_of_a_way_has_its_own_end(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    flooded = way(hop("a/x", out_port=1, ending=Ending.OPEN), hop("a/x", out_port=2, ending=Ending.HANDED_TO_PORT))
    screen = drawn(flooded, verdict(Disposition.INCONCLUSIVE))
    assert (
        screen.index("? x") < screen.index("not seen to leave") < screen.index("✓ x") < screen.index("handed to port 2")
    )


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"changes": (HeaderChange("nw_ttl", "64", "63"),)}, "nw_ttl: 64 → 63"),
        ({"unmarked": True}, "left without a mark"),
        ({"inferred": True}, "a later one proves it"),
        ({"unsupported": "bundle"}, "stopped at bundle, which this version does not model"),
        ({"in_port": None}, "in unknown port"),
        ({"note": "no server has this VTEP"}, "no server has this VTEP"),
    ],
)
def test_what_is_special_about_a_hop_is_said(
    known: dict[str, object], words: str, hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    assert words in drawn(way(hop(**known), ending=Ending.ON_WIRE), verdict())


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending.HANDED_TO_PORT, "handed to a port"),
        (Ending.EXITED, "left the overlay"),
        (Ending.OPEN, "not seen to leave"),
        (Ending.LOOPED, "a loop"),
    ],
)
def test_each_ending_has_its_words(
    ending: Ending, words: str, hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    assert words in drawn(way(hop(), ending=ending), verdict())


def test_a_way_without_hops_is_seen_nowhere(way: MakeWay) -> None:
    assert route_phrase(way()) == "seen nowhere"


def test_predictions_are_named_as_such(way: MakeWay) -> None:
    assert origin_phrase(way()) == "observed"
    assert origin_phrase(way(origin=Origin.PREDICTED)) == "predicted from the flow tables"


def test_the_decisive_lookup_is_the_last_one_unless_another_is_named(hop: MakeHop) -> None:
    assert decisive(hop(steps=STEPS)) == STEPS[1]
    assert decisive(hop(steps=STEPS, deciding=0)) == STEPS[0]
    assert decisive(hop(steps=STEPS, deciding=2)) is None
    assert decisive(hop()) is None


def test_a_flow_that_ties_with_the_one_that_won_is_said_to_match_as_well() -> None:
    tied = NearMiss(FlowKey(40, 7, Match()), 5, ())
    assert near_miss_phrase(tied) == "table=40, cookie=0x5, priority=7 matches as well, with the same priority"
