"""Turns a packet that came into a VFD and was not seen again into a finding: what stopped it there, if anything did.

Silence proves a loss only where no copy of that VFD is missing and its flows could be logged (ideas N3, N10).
"""

from vtrace_ovs.diagnosis.blame import limit_phrase
from vtrace_ovs.diagnosis.case import Case, Finding, deduced, evidence_lost, seen
from vtrace_ovs.diagnosis.compare import deciding_step
from vtrace_ovs.diagnosis.datapath import contradicting
from vtrace_ovs.diagnosis.drops import drop_finding, predicted_the_same
from vtrace_ovs.diagnosis.loops import round_phrase
from vtrace_ovs.diagnosis.missing import evidence_missing, logged_before_silence
from vtrace_ovs.diagnosis.naming import counted, place_name
from vtrace_ovs.diagnosis.scene import MeterReading
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence

_UNTOPPABLE = 65535
"""A flow of this priority cannot be topped by a logging clone (design D3)."""

_PREDICTED = frozenset(DropShape) - {DropShape.METER, DropShape.UNSUPPORTED}


def silent(case: Case) -> Finding:
    """The last thing known is the packet's ``in`` at the deciding VFD."""
    for rule in _RULES_OF_SILENCE:
        finding = rule(case)
        if finding is not None:
            return finding
    stale = contradicting(case, None, None, _came_in(case.hop))
    if stale is not None:
        return stale
    detail = ""
    if case.expected is not None and case.expected.out_port is not None:
        detail = f"; the stored tables send it out of port {case.expected.out_port}"
    return Finding(
        disposition=Disposition.LOST_IN_VFD,
        code=CauseCode.UNKNOWN,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(case.hop.bridge), detail=detail),
        culprit=_vfd(case.hop),
        evidence=(_came_in(case.hop), *_idle_suspects(case)),
    )


def dropped_aside(case: Case) -> Finding:
    """The packet was seen dropped in one branch of the pipeline: the drop is its end if no other branch let it out."""
    for rule in (_disturbed, _evidence_missing, _not_loggable):
        finding = rule(case)
        if finding is not None:
            return finding
    step = deciding_step(case.hop)
    sure = predicted_the_same(case, step)
    where = f"{case.hop.bridge} logged the packet at a flow that drops it in one branch of the pipeline"
    return drop_finding(
        case,
        step,
        DropShape.EXPLICIT_DROP,
        Confidence.CORROBORATED if sure else Confidence.INFERRED,
        (seen(f"{where}, and in no other branch leaving."),),
    )


def _vfd(hop: Hop) -> Culprit:
    return Culprit(hop.bridge.node, hop.bridge)


def _came_in(hop: Hop) -> Evidence:
    return seen(f"{hop.bridge} logged the packet coming in (hop {hop.dscp_mark}), and neither out nor error.")


def _no_answer(case: Case) -> Finding | None:
    return logged_before_silence(case, case.hop.bridge, _came_in(case.hop))


def _disturbed(case: Case) -> Finding | None:
    """Where somebody changed flows of ours, copies that do not come may never have been taken."""
    reason = case.scene.disturbed.get(case.hop.bridge)
    return None if reason is None else evidence_lost(case, reason, (_came_in(case.hop),))


def _evidence_missing(case: Case) -> Finding | None:
    return evidence_missing(case, (case.hop.bridge,), "this VFD", _came_in(case.hop))


def _metered(case: Case) -> Finding | None:
    """A rate limit is blamed only if the packet's way leads through the meter and the meter did drop."""
    expected, hop = case.expected, case.hop
    if expected is None:
        return None
    for meter_id in expected.meters:
        reading = case.scene.meter(hop.bridge, meter_id)
        if reading is not None and reading.packets_dropped > 0:
            return _rate_limited(case, reading)
    return None


def _rate_limited(case: Case, reading: MeterReading) -> Finding:
    hop, entry = case.hop, reading.entry
    culprit = _metering_flow(case, entry.meter_id)
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.METER_RATE_LIMIT,
        confidence=Confidence.CORROBORATED,
        particulars=Particulars(
            place=place_name(hop.bridge, culprit.table_id, culprit.table_name), detail=limit_phrase(reading)
        ),
        culprit=culprit,
        drop=DropShape.METER,
        evidence=(
            _came_in(hop),
            deduced(f"The stored tables lead the packet through meter {entry.meter_id}."),
        ),
    )


def _metering_flow(case: Case, meter_id: int) -> Culprit:
    """The flow that leads the packet through the meter, by the prediction; the bridge alone if none says so."""
    hop, steps = case.hop, case.expected.steps if case.expected is not None else ()
    step = next((step for step in steps if f"meter:{meter_id}" in step.actions.split(",")), None)
    if step is None:
        return Culprit(hop.bridge.node, hop.bridge, meter_id=meter_id)
    profile = case.scene.profile(hop.bridge)
    role = profile.role(step.table_id, step.cookie)
    return Culprit(
        node=hop.bridge.node,
        bridge=hop.bridge,
        table_id=step.table_id,
        table_name=None if role is None else role.name,
        flow=step.flow,
        cookie=step.cookie,
        owner=None if step.cookie is None else profile.owner(step.cookie),
        meter_id=meter_id,
    )


def _predicted_loop(case: Case) -> Finding | None:
    if case.predicted is None or case.expected is None or case.predicted.ending is not Ending.LOOPED:
        return None
    return Finding(
        disposition=Disposition.LOOPED,
        code=CauseCode.FORWARDING_LOOP,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(case.hop.bridge), detail=round_phrase(case.predicted)),
        culprit=_vfd(case.hop),
        evidence=(_came_in(case.hop), deduced("The stored tables lead the packet round in a loop.")),
    )


def _predicted_drop(case: Case) -> Finding | None:
    expected = case.expected
    if expected is None or expected.drop not in _PREDICTED:
        return None
    evidence = (
        _came_in(case.hop),
        deduced(f"The stored tables stop the packet there: {expected.drop.value}."),
    )
    return drop_finding(case, deciding_step(expected), expected.drop, Confidence.INFERRED, evidence)


def _not_modelled(case: Case) -> Finding | None:
    expected = case.expected
    if expected is None or (expected.unsupported is None and expected.drop is not DropShape.UNSUPPORTED):
        return None
    what = expected.unsupported or expected.note or "an action without a name"
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.UNSUPPORTED,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=str(case.hop.bridge), detail=what),
        culprit=_vfd(case.hop),
        evidence=(_came_in(case.hop), deduced(f"The stored tables apply {what} there, which is not modelled.")),
    )


def _not_loggable(case: Case) -> Finding | None:
    """Somewhere on its way through this VFD the packet may leave without a copy, so silence proves nothing."""
    unlogged = case.scene.unlogged.get(case.hop.bridge, frozenset())
    if case.expected is None:
        if not unlogged:
            return None
        detail = (
            f"{counted(len(unlogged), 'flow')} of it cannot be logged, and the packet's way through it is not known"
        )
    else:
        last = deciding_step(case.expected)
        blind = next((step for step in case.expected.steps if step.flow in unlogged), None)
        if blind is None and last is not None and last.flow is not None and last.flow.priority >= _UNTOPPABLE:
            blind = last
        if blind is None:
            return None
        detail = f"its flow in table {blind.table_id} cannot be logged"
    return evidence_lost(case, detail, (_came_in(case.hop), deduced(f"{case.hop.bridge}: {detail}.")))


def _changed(case: Case) -> Finding | None:
    """Flows that came only then had no log of ours yet."""
    if not case.scene.changed_at(case.hop.bridge, case.hop.entered_at):
        return None
    detail = "its flow tables changed at that time, and what was new in them could not be logged yet"
    return evidence_lost(case, detail, (_came_in(case.hop), seen(f"{case.hop.bridge}: {detail}.")))


def _idle_suspects(case: Case) -> tuple[Evidence, ...]:
    """Meters of this VFD that dropped something, when nothing shows that the packet passed them."""
    return tuple(
        seen(
            f"Meter {reading.entry.meter_id} of {reading.bridge} dropped {counted(reading.packets_dropped, 'packet')} "
            "while the task ran, but nothing shows that this packet passed it."
        )
        for reading in case.scene.meters
        if reading.bridge == case.hop.bridge and reading.packets_dropped > 0
    )


_RULES_OF_SILENCE = (
    *(_no_answer, _disturbed, _evidence_missing, _metered, _predicted_loop, _predicted_drop),
    *(_not_modelled, _not_loggable, _changed),
)
