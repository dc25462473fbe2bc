from dataclasses import replace
from ipaddress import IPv4Address

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.postcard import DownPort, Passage, Postcard, Segment
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition

LEAF, SPINE = BridgeId("leaf1", "leaf1"), BridgeId("spine1", "spine1")
FLOW = FlowKey(0, 200, Match())


def segment_of(sent: Trajectory) -> Segment:
    tunnel = sent.hops[-1].left_by
    assert tunnel is not None
    assert tunnel.source is not None
    assert tunnel.destination is not None
    return Segment(tunnel.source, tunnel.destination, tunnel.vni)


def test_a_flow_that_was_seen_dropping_the_same_traffic_is_the_culprit(sent: Trajectory, scene: Scene) -> None:
    card = Postcard(segment_of(sent), LEAF, 0, FLOW, 9, 3)
    verdict = diagnose(sent, None, replace(scene, postcards=(card,)))
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.UNDERLAY_DENY)
    assert (verdict.category, verdict.drop) == (CauseCategory.PHYSICAL_NETWORK, DropShape.EXPLICIT_DROP)
    assert verdict.culprit is not None
    assert (verdict.culprit.bridge, verdict.culprit.flow, verdict.culprit.cookie) == (LEAF, FLOW, 9)
    assert "3 later packets of the same traffic" in verdict.evidence[1].sentence
    assert "leaf1" not in verdict.tenant_sentence


def test_a_table_without_a_flow_for_it_has_no_way(sent: Trajectory, scene: Scene) -> None:
    card = Postcard(segment_of(sent), LEAF, 2, None, None, 1)
    verdict = diagnose(sent, None, replace(scene, postcards=(card,)))
    assert (verdict.code, verdict.drop) == (CauseCode.UNDERLAY_NO_ROUTE, DropShape.NO_MATCH)


def test_packets_of_one_five_tuple_take_one_way_and_others_are_inferred_to(sent: Trajectory, scene: Scene) -> None:
    headers = sent.hops[-1].headers_out or sent.hops[-1].headers_in
    assert headers is not None
    assert headers.five_tuple is not None
    other = Postcard(segment_of(sent), SPINE, 0, FLOW, 9, 30)
    same = Postcard(segment_of(sent), LEAF, 0, FLOW, 9, 3, frozenset({headers.five_tuple}))
    assert diagnose(sent, None, replace(scene, postcards=(other,))).confidence is Confidence.INFERRED
    verdict = diagnose(sent, None, replace(scene, postcards=(other, same)))
    assert verdict.confidence is Confidence.CORROBORATED
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == LEAF


def test_post_cards_from_another_segment_say_nothing(sent: Trajectory, scene: Scene) -> None:
    elsewhere = replace(segment_of(sent), destination=IPv4Address("192.0.2.9"))
    verdict = diagnose(sent, None, replace(scene, postcards=(Postcard(elsewhere, LEAF, 0, FLOW, 9, 3),)))
    assert verdict.code is CauseCode.UNDERLAY_LOSS


def test_ports_that_cannot_send_are_facts_beside_a_loss_on_the_wire(sent: Trajectory, scene: Scene) -> None:
    down = frozenset({DownPort(LEAF, 3, "spine1", switched_off=False), DownPort(LEAF, 2, "cs1", switched_off=True)})
    verdict = diagnose(sent, None, replace(scene, underlay_down=down))
    assert verdict.code is CauseCode.UNDERLAY_LOSS
    assert [fact.sentence for fact in verdict.evidence[-2:]] == [
        "Port 2 (cs1) of leaf1/leaf1 is down.",
        "Port 3 (spine1) of leaf1/leaf1 has no carrier.",
    ]


def test_of_many_ports_that_cannot_send_the_number_is_told(sent: Trajectory, scene: Scene) -> None:
    down = frozenset(DownPort(SPINE, number, f"p{number}", switched_off=True) for number in range(20))
    evidence = diagnose(sent, None, replace(scene, underlay_down=down)).evidence
    assert evidence[-1].sentence == "12 more ports of underlay bridges cannot send either."


def test_where_later_packets_came_and_where_not_stands_beside_a_loss_on_the_wire(
    sent: Trajectory, scene: Scene
) -> None:
    way = segment_of(sent)
    ends, back = (way.source, way.destination), (way.destination, way.source)
    passed = (Passage(*ends, SPINE, 0), Passage(*ends, LEAF, 98), Passage(*back, SPINE, 7))
    verdict = diagnose(sent, None, replace(scene, underlay_passed=passed))
    assert verdict.code is CauseCode.UNDERLAY_LOSS
    told = f"Of later packets from {ends[0]} to {ends[1]}, 98 came to leaf1/leaf1, none to spine1/spine1."
    assert verdict.evidence[-1].sentence == told
    nobody = diagnose(sent, None, replace(scene, underlay_passed=passed[:1]))
    assert not any("later packets" in fact.sentence for fact in nobody.evidence)
