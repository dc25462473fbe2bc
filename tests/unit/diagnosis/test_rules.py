from collections.abc import Callable

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import Disposition


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_a_verdict(
    ending: Ending, hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene
) -> None:
    for logged, out_port in (("in", None), ("in out", 10), ("in error", None), ("in out", 77)):
        verdict = diagnose(way(ending, hop("cs1/br-int", 1, logged, out_port=out_port)), None, scene)
        assert verdict.operator_sentence.endswith(".")
        assert verdict.tenant_sentence.endswith(".")


def test_a_trajectory_without_hops_is_inconclusive(scene: Scene) -> None:
    empty = Trajectory(1, "p", 0, Origin.OBSERVED, None, (), Ending.UNKNOWN)
    assert diagnose(empty, None, scene).disposition is Disposition.INCONCLUSIVE
