from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, MeterReading, Scene
from vtrace_ovs.model.flow import FlowKey, MeterEntry
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeFlow = Callable[..., FlowKey]
Foresee = Callable[..., Trajectory]

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
DEAD = "ovs-vswitchd does not answer on its management socket"


def summary(verdict: Verdict) -> tuple[Disposition, CauseCode, Confidence]:
    return verdict.disposition, verdict.code, verdict.confidence


def meter(dropped: int, bridge: BridgeId = CS1) -> tuple[MeterReading, ...]:
    return (MeterReading(bridge, MeterEntry(7, 10, 5, packets=True), 60, dropped),)


def test_a_meter_on_the_way_that_dropped_is_blamed_with_numbers(
    opened: Trajectory, foresee: Foresee, scene: Scene
) -> None:
    predicted = foresee(Ending.HANDED_TO_PORT, out_port=2, meters=(7,))
    verdict = diagnose(opened, predicted, replace(scene, meters=meter(41)))
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.METER_RATE_LIMIT, Confidence.CORROBORATED)
    assert verdict.category is CauseCategory.RATE_LIMIT
    assert "meter 7, limit 10 packets/s, burst 5 packets" in verdict.operator_sentence
    assert verdict.culprit is not None
    assert verdict.culprit.meter_id == 7


def test_where_somebody_changed_flows_of_ours_silence_proves_nothing(
    opened: Trajectory, foresee: Foresee, scene: Scene
) -> None:
    done = "somebody changed flows of ours while the trace ran"
    predicted = foresee(Ending.HANDED_TO_PORT, out_port=2)
    verdict = diagnose(opened, predicted, replace(scene, disturbed={CS1: done}))
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)
    assert done in verdict.operator_sentence
    elsewhere = diagnose(opened, predicted, replace(scene, disturbed={CS2: done}))
    assert elsewhere.disposition is Disposition.LOST_IN_VFD


@pytest.mark.parametrize("readings", [meter(0), meter(41, CS2), ()])
def test_a_meter_that_did_not_drop_here_is_not_blamed(
    readings: tuple[MeterReading, ...], opened: Trajectory, foresee: Foresee, scene: Scene
) -> None:
    predicted = foresee(Ending.HANDED_TO_PORT, out_port=2, meters=(7,))
    verdict = diagnose(opened, predicted, replace(scene, meters=readings))
    assert summary(verdict) == (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN, Confidence.INFERRED)


def test_a_meter_the_packet_does_not_pass_is_named_but_not_blamed(
    opened: Trajectory, foresee: Foresee, scene: Scene
) -> None:
    verdict = diagnose(
        opened, foresee(Ending.HANDED_TO_PORT, out_port=2, meters=(8,)), replace(scene, meters=meter(41))
    )
    assert verdict.code is CauseCode.UNKNOWN
    assert any("nothing shows that this packet passed it" in fact.sentence for fact in verdict.evidence)


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (DropShape.TTL_EXCEEDED, CauseCode.TTL_EXPIRED),
        (DropShape.PORT_DOWN, CauseCode.PORT_DOWN),
        (DropShape.PORT_GONE, CauseCode.PORT_GONE),
        (DropShape.OUTPUT_TO_INGRESS, CauseCode.OUTPUT_TO_INGRESS),
        (DropShape.RESUBMIT_LIMIT, CauseCode.TRANSLATION_LIMIT),
        (DropShape.RECURSION_LIMIT, CauseCode.TRANSLATION_LIMIT),
        (DropShape.EXPLICIT_DROP, CauseCode.SECURITY_RULE_DENY),
        (DropShape.NO_MATCH, CauseCode.SECURITY_RULE_DENY),
    ],
)
def test_silence_is_explained_by_the_prediction_and_marked_inferred(
    shape: DropShape,
    code: CauseCode,
    opened: Trajectory,
    foresee: Foresee,
    flow: MakeFlow,
    scene: Scene,
) -> None:
    predicted = foresee(step=Step(20, flow(20, 65535, tcp_dst=443), 0, "drop"), drop=shape)
    assert summary(diagnose(opened, predicted, scene)) == (Disposition.DROPPED, code, Confidence.INFERRED)


def test_a_predicted_loop_explains_silence(opened: Trajectory, foresee: Foresee, scene: Scene) -> None:
    verdict = diagnose(opened, foresee(Ending.LOOPED), scene)
    assert summary(verdict) == (Disposition.LOOPED, CauseCode.FORWARDING_LOOP, Confidence.INFERRED)


def test_an_observed_loop(hop: MakeHop, way: Way, scene: Scene) -> None:
    observed = way(
        Ending.LOOPED, hop("cs1/br-int", 1, in_port=10), hop("cs2/br-int", 2), hop("cs1/br-int", 3, in_port=10)
    )
    verdict = diagnose(observed, None, scene)
    assert summary(verdict) == (Disposition.LOOPED, CauseCode.FORWARDING_LOOP, Confidence.OBSERVED)


def test_an_action_nobody_models_is_no_loss(opened: Trajectory, foresee: Foresee, scene: Scene) -> None:
    predicted = foresee(Ending.UNKNOWN, drop=DropShape.UNSUPPORTED, unsupported="multipath")
    verdict = diagnose(opened, predicted, scene)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.UNSUPPORTED, Confidence.UNDECIDED)
    assert verdict.category is CauseCategory.UNSUPPORTED_ACTION
    assert "multipath" in verdict.operator_sentence


def test_a_flow_that_cannot_be_logged_makes_silence_prove_nothing(
    opened: Trajectory, foresee: Foresee, flow: MakeFlow, scene: Scene
) -> None:
    topmost, hidden = flow(50, 65535), flow(50, 7)
    for key, where in ((topmost, scene), (hidden, replace(scene, unlogged={CS1: frozenset({hidden})}))):
        predicted = foresee(Ending.HANDED_TO_PORT, out_port=2, step=Step(50, key, 0, "output:2"))
        verdict = diagnose(opened, predicted, where)
        assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)
    assert diagnose(opened, None, replace(scene, unlogged={CS1: frozenset({hidden})})).code is CauseCode.EVIDENCE_LOST


def test_a_vfd_that_logged_a_packet_and_then_fell_silent_may_only_be_busy(opened: Trajectory, scene: Scene) -> None:
    verdict = diagnose(opened, None, replace(scene, unreachable={CS1: DEAD}))
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)
    assert f"cs1/br-int logged the packet, but then {DEAD}" in verdict.operator_sentence


@pytest.mark.parametrize("lost", [{"copies_capped": {CS1: 3}}, {"copies": {CS1: CopyTally(4, 1)}}])
def test_lost_copies_are_not_lost_packets(lost: dict[str, object], opened: Trajectory, scene: Scene) -> None:
    verdict = diagnose(opened, None, replace(scene, **lost))  # type: ignore[arg-type]  # fields of Scene
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)


def test_copies_lost_elsewhere_do_not_weaken_a_verdict(opened: Trajectory, scene: Scene) -> None:
    verdict = diagnose(opened, None, replace(scene, copies_capped={CS2: 3}))
    assert verdict.disposition is Disposition.LOST_IN_VFD


def test_copies_lost_anywhere_count_when_twins_cannot_be_told_apart(hop: MakeHop, way: Way, scene: Scene) -> None:
    observed = way(Ending.OPEN, hop("cs1/br-int", 1, "in"), ambiguous=True)
    verdict = diagnose(observed, None, replace(scene, copies_capped={CS2: 3}))
    assert verdict.code is CauseCode.EVIDENCE_LOST
    assert diagnose(observed, None, scene).disposition is Disposition.LOST_IN_VFD


def test_a_loss_the_tables_contradict_says_so(opened: Trajectory, hop: MakeHop, way: Way, scene: Scene) -> None:
    elsewhere = way(Ending.HANDED_TO_PORT, hop("cs2/br-int", 1, "", out_port=1), predicted=True)
    verdict = diagnose(opened, elsewhere, scene)
    assert verdict.confidence is Confidence.INFERRED
    assert any("lead to cs2/br-int" in fact.sentence for fact in verdict.evidence)


def test_a_drop_in_one_branch_is_the_end_when_no_other_branch_let_the_packet_out(
    hop: MakeHop, way: Way, foresee: Foresee, flow: MakeFlow, scene: Scene
) -> None:
    step = Step(20, flow(20, 9, ipv4_src=1), 0x51, "drop")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, aside=True, drop=DropShape.EXPLICIT_DROP))
    same = foresee(Ending.DROPPED, step=step, drop=DropShape.EXPLICIT_DROP)
    for predicted, confidence in ((same, Confidence.CORROBORATED), (None, Confidence.INFERRED)):
        verdict = diagnose(observed, predicted, scene)
        assert summary(verdict) == (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY, confidence)
        assert verdict.culprit is not None
        assert verdict.culprit.flow == step.flow
    unsure = diagnose(observed, same, replace(scene, copies_capped={CS1: 1}))
    assert summary(unsure) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)


@pytest.mark.parametrize(
    ("spell", "certain"), [((0.0, 1.0), True), ((0.0, 5.0), False), ((5.0, inf), False), ((5.1, inf), True)]
)
def test_silence_proves_nothing_while_tables_were_not_those_that_were_cloned(
    spell: tuple[float, float], certain: bool, opened: Trajectory, foresee: Foresee, scene: Scene
) -> None:
    observed = replace(opened, hops=(replace(opened.hops[0], entered_at=5.0),))
    changing = replace(scene, unsettled={CS1: (spell,)})
    verdict = diagnose(observed, foresee(Ending.HANDED_TO_PORT, out_port=2), changing)
    lost = (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN, Confidence.INFERRED)
    assert summary(verdict) == (
        lost if certain else (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST, Confidence.UNDECIDED)
    )
    elsewhere = replace(scene, unsettled={CS2: (spell,)})
    assert summary(diagnose(observed, foresee(Ending.HANDED_TO_PORT, out_port=2), elsewhere)) == lost
