from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vtrace_ovs.diagnosis.datapath import datapaths_of
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import Bridge, BridgeId, Port, PortKind, TunnelEnd
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Trajectory
from vtrace_ovs.model.tunnel_reach import TunnelReach, TunnelRoute
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeTunnel = Callable[[str, str], Tunnel]
Foresee = Callable[..., Trajectory]

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
ROUTER = BridgeId("gw1", "vr-blue")
DEAD = "ovs-vswitchd does not answer on its management socket"


def summary(verdict: Verdict) -> tuple[Disposition, CauseCode, Confidence]:
    return verdict.disposition, verdict.code, verdict.confidence


def test_silence_between_two_live_servers_is_the_underlay(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, scene)
    assert summary(verdict) == (Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS, Confidence.INFERRED)
    assert verdict.category is CauseCategory.PHYSICAL_NETWORK
    assert verdict.culprit is not None
    assert (verdict.culprit.node, verdict.culprit.bridge) == ("cs1", CS1)
    assert (verdict.culprit.next_node, verdict.culprit.next_bridge) == ("cs2", CS2)
    assert "from 172.31.0.11 to 172.31.0.12" in verdict.operator_sentence


def test_a_complete_count_and_datapaths_that_follow_their_tables_corroborate(sent: Trajectory, scene: Scene) -> None:
    sent, counted = replace(sent, first_seen=5.0, last_seen=5.1), replace(scene, copies={CS2: CopyTally(19)})
    readings = [DatapathReading(question, 6.0, 2, 0) for question in datapaths_of(sent, "cs2")]
    followed = replace(counted, datapaths=tuple(readings))
    assert diagnose(sent, None, followed).confidence is Confidence.CORROBORATED
    for taken, told in ((0, "It took no copy of anything."), (19, "Of 19 copies it took, none is missing.")):
        sentences = [
            one.sentence for one in diagnose(sent, None, replace(followed, copies={CS2: CopyTally(taken)})).evidence
        ]
        assert told in sentences
    assert diagnose(sent, None, replace(scene, datapaths=tuple(readings))).confidence is Confidence.INFERRED
    verdict = diagnose(sent, None, replace(counted, datapaths=(readings[0],)))
    assert verdict.confidence is Confidence.INFERRED
    assert "datapath of cs2" in verdict.evidence[-1].sentence
    assert not verdict.evidence[-1].observed


@pytest.mark.parametrize("lost", [{"copies_capped": {CS2: 1}}, {"copies": {CS2: CopyTally(4, 1)}}])
def test_a_copy_lost_at_the_far_end_is_no_loss_on_the_wire(
    lost: dict[str, object], sent: Trajectory, scene: Scene
) -> None:
    verdict = diagnose(sent, None, replace(scene, **lost))  # type: ignore[arg-type]  # fields of Scene
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)


def test_a_dead_vswitchd_at_the_far_end_is_the_culprit(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, replace(scene, unreachable={CS2: DEAD}))
    assert summary(verdict) == (Disposition.LOST_IN_VFD, CauseCode.VSWITCHD_DEAD, Confidence.INFERRED)
    assert verdict.culprit is not None
    assert verdict.culprit.node == "cs2"


def test_a_vfd_that_logged_the_packet_before_was_not_dead_when_it_came_again(sent: Trajectory, scene: Scene) -> None:
    earlier = replace(sent.hops[-1], bridge=CS2, out_port=None, left_by=None)
    again = replace(sent, hops=(earlier, *(replace(hop, parent=0) for hop in sent.hops)))
    verdict = diagnose(again, None, replace(scene, unreachable={CS2: DEAD}))
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)
    assert f"cs2/br-int logged the packet, but then {DEAD}" in verdict.operator_sentence


def test_a_dead_server_whose_ports_nobody_knows(sent: Trajectory, scene: Scene) -> None:
    bare = tuple(replace(b, ports=(), dpid=None) if b.id == CS2 else b for b in scene.topology.bridges)
    emptied = replace(scene, topology=replace(scene.topology, bridges=bare))
    assert diagnose(sent, None, replace(emptied, unreachable={CS2: DEAD})).code is CauseCode.VSWITCHD_DEAD
    verdict = diagnose(sent, None, emptied)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.NO_TUNNEL_ENDPOINT, Confidence.UNDECIDED)


def test_a_server_whose_tunnel_ports_all_refuse_it_is_named_with_the_reason(sent: Trajectory, scene: Scene) -> None:
    def elsewhere(bridge: Bridge) -> Bridge:
        ports = tuple(replace(port, end=TunnelEnd("vxlan", 4790, None)) for port in bridge.ports)
        return replace(bridge, dpid=7, ports=ports if bridge.id == CS2 else bridge.ports)

    def usual(bridge: Bridge) -> Bridge:
        ends = (replace(port, end=TunnelEnd("vxlan", 4789, None)) for port in bridge.ports)
        return bridge if bridge.id == CS2 else replace(bridge, ports=tuple(ends))

    bridges = tuple(usual(elsewhere(bridge)) for bridge in scene.topology.bridges)
    verdict = diagnose(sent, None, replace(scene, topology=replace(scene.topology, bridges=bridges)))
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.NO_TUNNEL_ENDPOINT, Confidence.INFERRED)
    assert "of cs2/br-int listens on UDP port 4790, not 4789" in verdict.operator_sentence


def test_an_unmarked_packet_towards_a_dead_server_still_blames_it(sent: Trajectory, scene: Scene) -> None:
    unmarked = replace(sent, hops=(replace(sent.hops[0], unmarked=True),))
    assert diagnose(unmarked, None, replace(scene, unreachable={CS2: DEAD})).code is CauseCode.VSWITCHD_DEAD
    verdict = diagnose(unmarked, None, scene)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.OUTSIDE_INVENTORY, Confidence.UNDECIDED)


def test_a_vfd_that_is_not_instrumented_is_not_blamed(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, replace(scene, unobserved={CS2: "OpenFlow 1.3 is switched off"}))
    assert verdict.disposition is Disposition.INCONCLUSIVE
    assert "OpenFlow 1.3 is switched off" in verdict.operator_sentence


def test_a_vfd_that_was_not_armed_when_the_packet_came_is_not_blamed(sent: Trajectory, scene: Scene) -> None:
    seen = replace(sent, first_seen=100.0)
    for since, why in (({}, "was not armed"), ({CS2: 100.5}, "armed only while")):
        verdict = diagnose(seen, None, replace(scene, watched_since=since))
        assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.OUTSIDE_INVENTORY, Confidence.UNDECIDED)
        assert why in verdict.operator_sentence
    assert diagnose(seen, None, replace(scene, watched_since={CS2: 100.0})).disposition is Disposition.LOST_ON_WIRE


def test_a_tunnel_out_of_the_inventory_is_not_called_a_loss(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, scene: Scene
) -> None:
    nobody = replace(tunnel("cs1", "cs2"), destination=IPv4Address("192.0.2.9"))
    verdict = diagnose(way(Ending.ON_WIRE, hop("cs1/br-int", 1, out_port=10, left_by=nobody)), None, scene)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.OUTSIDE_INVENTORY, Confidence.UNDECIDED)
    assert "192.0.2.9, which is not traced" in verdict.operator_sentence
    assert "no server of the inventory has that tunnel endpoint" in verdict.operator_sentence


def test_a_tunnel_endpoint_that_nobody_is_was_never_sent_to(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, scene: Scene
) -> None:
    def judged(*neighbours: str, datapath_type: str = "netdev") -> Verdict:
        bridges = tuple(replace(bridge, datapath_type=datapath_type) for bridge in scene.topology.bridges)
        reach = TunnelReach(tuple(map(IPv4Address, neighbours)), (TunnelRoute(IPv4Network("172.31.0.0/24"), 24),))
        known = replace(scene, topology=replace(scene.topology, bridges=bridges), reaches={"cs1": reach})
        return diagnose(way(Ending.ON_WIRE, hop("cs1/br-int", 1, out_port=10, left_by=nobody)), None, known)

    nobody = replace(tunnel("cs1", "cs2"), destination=IPv4Address("172.31.0.99"))
    verdict = judged("172.31.0.12")
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.NO_TUNNEL_ENDPOINT, Confidence.CORROBORATED)
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == CS1
    assert "nobody answers for 172.31.0.99" in verdict.operator_sentence
    assert judged("172.31.0.99").code is CauseCode.OUTSIDE_INVENTORY
    assert judged(datapath_type="system").code is CauseCode.OUTSIDE_INVENTORY


def test_a_tunnel_without_a_destination(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, foresee: Foresee, scene: Scene
) -> None:
    observed = way(
        Ending.ON_WIRE, hop("cs1/br-int", 1, out_port=10, left_by=replace(tunnel("cs1", "cs2"), destination=None))
    )
    assert diagnose(observed, None, scene).disposition is Disposition.INCONCLUSIVE
    predicted = foresee(out_port=10, drop=DropShape.NO_OUTPUT, note="no tunnel destination is set")
    verdict = diagnose(observed, predicted, scene)
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.NO_TUNNEL_ENDPOINT, Confidence.CORROBORATED)


def test_the_last_mark_ends_what_can_be_known(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, replace(scene, hop_limit=1))
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.HOP_LIMIT_REACHED, Confidence.UNDECIDED)
    assert diagnose(sent, None, replace(scene, hop_limit=2)).disposition is Disposition.LOST_ON_WIRE


def test_silence_across_a_patch_port_is_inside_the_server(patched: Trajectory, scene: Scene) -> None:
    verdict = diagnose(patched, None, scene)
    assert summary(verdict) == (Disposition.LOST_IN_VFD, CauseCode.PATCH_LOSS, Confidence.INFERRED)
    assert verdict.category is CauseCategory.VFD_FAULT
    assert verdict.culprit is not None
    assert verdict.culprit.next_bridge == ROUTER


def test_a_limit_at_the_next_server_undoes_even_the_log_of_its_coming_in(
    sent: Trajectory, hop: MakeHop, way: Way, scene: Scene
) -> None:
    here = replace(sent.hops[0], seen=frozenset())
    predicted = way(Ending.DROPPED, here, hop("cs2/br-int", 2, "", drop=DropShape.RESUBMIT_LIMIT), predicted=True)
    verdict = diagnose(sent, predicted, scene)
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.TRANSLATION_LIMIT, Confidence.INFERRED)
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == predicted.hops[1].bridge


def test_a_limit_beyond_the_next_server_says_nothing_of_a_packet_that_did_not_come_there(
    sent: Trajectory, hop: MakeHop, way: Way, scene: Scene
) -> None:
    here = replace(sent.hops[0], seen=frozenset())
    onward = (hop("cs2/br-int", 2, ""), hop("gw1/br-int", 3, "", drop=DropShape.RESUBMIT_LIMIT))
    verdict = diagnose(sent, way(Ending.DROPPED, here, *onward, predicted=True), scene)
    assert verdict.code is CauseCode.UNDERLAY_LOSS


def test_a_limit_behind_a_patch_port_undoes_the_output(
    patched: Trajectory, hop: MakeHop, way: Way, scene: Scene
) -> None:
    predicted = way(
        Ending.DROPPED,
        *(replace(one, seen=frozenset()) for one in patched.hops),
        hop("gw1/vr-blue", 3, "", drop=DropShape.RECURSION_LIMIT),
        predicted=True,
    )
    verdict = diagnose(patched, predicted, scene)
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.TRANSLATION_LIMIT, Confidence.INFERRED)


def _with_ports(scene: Scene, bridge: BridgeId, **more: object) -> Scene:
    """The scene with all patch and tunnel ports of a bridge changed so."""

    def changed(port: Port) -> Port:
        apart = port.kind in {PortKind.PATCH, PortKind.TUNNEL}
        return replace(port, **more) if apart else port  # type: ignore[arg-type]  # fields of Port

    bridges = (
        replace(known, ports=tuple(map(changed, known.ports))) if known.id == bridge else known
        for known in scene.topology.bridges
    )
    return replace(scene, topology=replace(scene.topology, bridges=tuple(bridges)))


@pytest.mark.parametrize(
    ("bridge", "peer", "words"),
    [
        (BridgeId("gw1", "br-int"), None, "it names no peer"),
        (BridgeId("gw1", "br-int"), "nowhere", "its peer nowhere does not exist on gw1"),
        (ROUTER, "elsewhere", "its peer up names elsewhere as its own"),
        (ROUTER, None, "its peer up names nobody as its own"),
    ],
)
def test_a_patch_port_whose_ends_do_not_name_each_other_leads_nowhere(
    patched: Trajectory, scene: Scene, bridge: BridgeId, peer: str | None, words: str
) -> None:
    verdict = diagnose(patched, None, _with_ports(scene, bridge, peer=peer))
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.PATCH_UNWIRED, Confidence.CORROBORATED)
    assert words in verdict.operator_sentence
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == BridgeId("gw1", "br-int")


def test_a_tunnel_port_of_another_key_takes_nothing(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, _with_ports(scene, CS2, key=9999))
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.NO_TUNNEL_ENDPOINT, Confidence.INFERRED)
    assert "takes it: vxlan0 of cs2/br-int takes only the key 9999, not 101" in verdict.operator_sentence
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == CS2
    assert diagnose(sent, None, _with_ports(scene, CS2, key=101)).code is CauseCode.UNDERLAY_LOSS


def test_a_loop_that_outlasts_the_marks_is_foreseen_by_the_tables(
    sent: Trajectory, scene: Scene, hop: MakeHop, way: Way
) -> None:
    limited = replace(scene, hop_limit=1)
    assert diagnose(sent, None, limited).code is CauseCode.HOP_LIMIT_REACHED
    first = replace(sent.hops[0], ending=None)
    round_again = way(Ending.LOOPED, first, hop("cs2/br-int", 2, ""), hop("cs1/br-int", 3, ""), predicted=True)
    verdict = diagnose(sent, round_again, limited)
    assert summary(verdict) == (Disposition.LOOPED, CauseCode.FORWARDING_LOOP, Confidence.INFERRED)
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == CS1
    assert diagnose(sent, round_again, scene).code is CauseCode.UNDERLAY_LOSS
    busy = replace(limited, unreachable={CS2: DEAD})
    assert diagnose(sent, round_again, busy).code is CauseCode.FORWARDING_LOOP
