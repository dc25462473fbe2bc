"""Turns the flow a verdict blames into what became of that flow while the trace ran (idea N4)."""

from dataclasses import replace

from vtrace_ovs.diagnosis.case import seen
from vtrace_ovs.diagnosis.scene import FlowLife, Scene
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.model.verdict import Culprit, Verdict
from vtrace_ovs.model.wording import flow_text

MOST_NAMED = 3
_MISSES = frozenset({DropShape.NO_MATCH, DropShape.TABLE_MISS_FLOW})


def with_history(verdict: Verdict, scene: Scene) -> Verdict:
    """The verdict, with when the flow it blames came or went; of a miss, which flows of the table are gone."""
    culprit = verdict.culprit
    if culprit is None or culprit.bridge is None or not scene.lives:
        return verdict
    life = None if culprit.flow is None else scene.lives.get((culprit.bridge, culprit.flow))
    told = _missed(culprit, scene) if verdict.drop in _MISSES and life is None else []
    if life is not None:
        told = [f"That flow {_what_became(life)}."]
    if not told:
        return verdict
    facts = tuple(map(seen, told))
    sentence = " ".join((verdict.operator_sentence, *told))
    return replace(verdict, operator_sentence=sentence, evidence=(*verdict.evidence, *facts))


def _missed(culprit: Culprit, scene: Scene) -> list[str]:
    """What is known of flows that are not in the table any more."""
    gone = [
        f"Of that table, {flow_text(key)} {_what_became(life)}."
        for (bridge, key), life in scene.lives.items()
        if bridge == culprit.bridge and key.table_id == culprit.table_id and life.removed is not None
    ]
    return gone[:MOST_NAMED]


def _what_became(life: FlowLife) -> str:
    if life.added is not None:
        return f"was added {life.added:.1f} s after tracing began"
    if life.removed is not None:
        since, until = life.removed
        return f"is gone: it was removed between {since:.1f} and {until:.1f} s after tracing began"
    since, until = life.changed or (0.0, 0.0)
    return f"was changed between {since:.1f} and {until:.1f} s after tracing began"
