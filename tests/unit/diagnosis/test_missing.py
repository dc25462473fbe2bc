from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeTunnel = Callable[[str, str], Tunnel]


def lost(scene: Scene, *bridges: BridgeId) -> Scene:
    return replace(scene, copies={bridge: CopyTally(9, 1) for bridge in bridges})


def test_the_verdict_says_how_many_copies_are_missing_and_why(opened: Trajectory, scene: Scene) -> None:
    sentence = diagnose(opened, None, lost(scene, CS1)).operator_sentence
    assert "1 copy from this VFD never arrived" in sentence
    both = replace(lost(scene, CS1), copies_capped={CS1: 2})
    sentence = diagnose(opened, None, both).operator_sentence
    assert "3 copies from this VFD never arrived, 2 of them capped by our own meter" in sentence


@pytest.mark.parametrize(
    ("spell", "proven"), [((1.0, 4.9), True), ((4.0, 5.5), False), ((6.0, 7.0), False), ((7.0, 8.0), True)]
)
def test_silence_proves_nothing_while_copies_cannot_be_counted(
    hop: MakeHop, way: Way, scene: Scene, spell: tuple[float, float], *, proven: bool
) -> None:
    opened = way(Ending.OPEN, hop("cs1/br-int", 1, "in", entered_at=5.0))
    verdict = diagnose(opened, None, replace(scene, uncounted={CS1: (spell,)}))
    assert (verdict.disposition is Disposition.LOST_IN_VFD) is proven
    assert ("could not be counted" in verdict.operator_sentence) is not proven


def forked(hop: MakeHop, way: Way, tunnel: MakeTunnel, last: Hop, *, predicted: bool = False) -> Trajectory:
    """Flooded by cs1: to the gateway's tunnel, and to cs2."""
    first = hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "gw1"), ending=Ending.ON_WIRE)
    other = hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "cs2"))
    ending = Ending.DROPPED if last.drop is not None else Ending.HANDED_TO_PORT
    return way(ending, first, other, replace(last, parent=1), predicted=predicted)


def test_a_drop_of_one_branch_is_not_all_while_copies_of_another_are_missing(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, scene: Scene
) -> None:
    dropped = hop("cs2/br-int", 2, "in error", drop=DropShape.EXPLICIT_DROP)
    observed = forked(hop, way, tunnel, dropped)
    assert diagnose(observed, None, scene).disposition is Disposition.DROPPED
    for where in (BridgeId("gw1", "br-int"), CS1):
        verdict = diagnose(observed, None, lost(scene, where))
        assert verdict.code is CauseCode.EVIDENCE_LOST
        assert str(where) in verdict.operator_sentence


def test_a_drop_is_known_where_the_tables_tell_of_no_other_branch(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, scene: Scene
) -> None:
    first = hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "cs2"))
    step = Step(20, None, None, "drop")
    last = hop("cs2/br-int", 2, "in error", step, drop=DropShape.NO_MATCH)
    observed = way(Ending.DROPPED, first, last)
    predicted = way(Ending.DROPPED, replace(first, seen=frozenset()), replace(last, seen=frozenset()), predicted=True)
    scene = lost(scene, CS1, CS2)
    assert diagnose(observed, predicted, scene).disposition is Disposition.DROPPED
    assert diagnose(observed, None, scene).code is CauseCode.EVIDENCE_LOST
    mirrored = replace(predicted, hops=(replace(first, out_port=2, ending=Ending.HANDED_TO_PORT), *predicted.hops))
    assert diagnose(observed, mirrored, scene).code is CauseCode.EVIDENCE_LOST


def test_a_copy_for_somebody_else_is_no_delivery_while_the_real_one_may_be_lost(
    hop: MakeHop, way: Way, scene: Scene
) -> None:
    mirror = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))
    assert scene.places.port(CS1, 2) is not None
    assert diagnose(mirror, None, scene).disposition is Disposition.DELIVERED
    assert diagnose(mirror, None, lost(scene, CS1)).code is CauseCode.EVIDENCE_LOST


def test_what_reached_its_addressee_is_delivered_whatever_is_missing(hop: MakeHop, way: Way, scene: Scene) -> None:
    reached = way(Ending.HANDED_TO_PORT, hop("cs2/br-int", 2, "out", out_port=1))
    port = scene.places.port(CS2, 1)
    assert port is not None
    assert port.owns(IPv4Address("10.0.1.13"))
    assert diagnose(reached, None, lost(scene, CS1, CS2)).disposition is Disposition.DELIVERED
