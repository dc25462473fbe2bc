from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_a_verdict(
    ending: Ending, hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene
) -> None:
    for logged, out_port in (("in", None), ("in out", 10), ("in error", None), ("in out", 77)):
        verdict = diagnose(way(ending, hop("cs1/br-int", 1, logged, out_port=out_port)), None, scene)
        assert verdict.operator_sentence.endswith(".")
        assert verdict.tenant_sentence.endswith(".")


@pytest.mark.parametrize("ending", Ending)
def test_no_loss_in_a_crowd_of_equal_packets_is_concluded_from_silence(
    ending: Ending, hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene
) -> None:
    crowd = replace(scene, crowded=frozenset({"p"}))
    observed = way(ending, hop("cs1/br-int", 1, "in" if ending is Ending.OPEN else "in out"), ambiguous=True)
    alone, verdict = diagnose(observed, None, scene), diagnose(observed, None, crowd)
    if ending in (Ending.OPEN, Ending.ON_WIRE):
        assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)
    else:
        assert verdict.disposition is alone.disposition
    assert any("More equal packets" in fact.sentence for fact in verdict.evidence)
    assert not any("but how many can" in fact.sentence for fact in verdict.evidence)


def test_a_trajectory_without_hops_is_inconclusive(scene: Scene) -> None:
    empty = Trajectory(1, "p", 0, Origin.OBSERVED, None, (), Ending.UNKNOWN)
    assert diagnose(empty, None, scene).disposition is Disposition.INCONCLUSIVE
