from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.history import with_history
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import FlowLife, Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")


@pytest.mark.parametrize(
    ("life", "told"),
    [
        (FlowLife(added=3.24), "That flow was added 3.2 s after tracing began."),
        (FlowLife(changed=(1.0, 2.0)), "That flow was changed between 1.0 and 2.0 s after tracing began."),
        (
            FlowLife(removed=(1.0, 2.0)),
            "That flow is gone: it was removed between 1.0 and 2.0 s after tracing began.",
        ),
    ],
)
def test_a_verdict_says_what_became_of_the_flow_it_blames(
    life: FlowLife,
    told: str,
    hop: Callable[..., Hop],
    way: Callable[..., Trajectory],
    flow: Callable[..., FlowKey],
    scene: Scene,
) -> None:
    key = flow(20, 9, tcp_dst=443)
    step = Step(20, key, 0x51, "drop")
    verdict = diagnose(
        way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP)), None, scene
    )
    known = with_history(verdict, replace(scene, lives={(CS1, key): life}))
    assert known.operator_sentence == f"{verdict.operator_sentence} {told}"
    assert known.evidence[-1].sentence == told
    assert with_history(verdict, replace(scene, lives={(CS2, key): life})) == verdict


def test_a_miss_names_the_flows_of_its_table_that_are_gone(
    hop: Callable[..., Hop], way: Callable[..., Trajectory], flow: Callable[..., FlowKey], scene: Scene
) -> None:
    step = Step(10, None, None, "drop")
    verdict = diagnose(
        way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.NO_MATCH)), None, scene
    )
    gone = FlowLife(removed=(1.0, 2.0))
    lives = {(CS1, flow(10, 9, tcp_dst=443)): gone, (CS1, flow(20, 9, tcp_dst=80)): gone}
    known = with_history(verdict, replace(scene, lives=lives))
    assert "Of that table, table=10, priority=9,tp_dst=443 is gone: it was removed" in known.operator_sentence
    assert "table=20" not in known.operator_sentence
