"""Turns a predicted Trajectory alone into a Verdict: what would become of a packet that nobody sent."""

from dataclasses import replace
from typing import assert_never

from vtrace_ovs.diagnosis.arrivals import misdelivered
from vtrace_ovs.diagnosis.case import Case, Finding, deduced, verdict_of
from vtrace_ovs.diagnosis.compare import deciding_step
from vtrace_ovs.diagnosis.drops import drop_finding
from vtrace_ovs.diagnosis.loops import round_phrase
from vtrace_ovs.diagnosis.naming import port_name
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.wire import unwired
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.topology import PortKind
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict

_REMEDY = "Give what is missing: more header fields, the connection state, or a packet that was captured."


def foresee(predicted: Trajectory, scene: Scene) -> Verdict:
    """What the tables do with a packet. Never more than *inferred*; what the walk leaves open is *undecided*."""
    hop = predicted.hops[-1]
    case = Case(predicted, scene, hop, predicted, hop, None)
    verdict = verdict_of(_finding(case, hop), None)
    if verdict.code is CauseCode.UNKNOWN:
        verdict = replace(verdict, remedy=_REMEDY)
    copies = tuple(
        deduced(f"A copy of the packet takes another way: {other.ending.value} at {other.bridge}.")
        for other in predicted.hops[:-1]
        if other.ending is not None
    )
    return replace(verdict, evidence=(*verdict.evidence, *copies, *_meters(predicted)))


def _finding(case: Case, hop: Hop) -> Finding:
    match case.observed.ending:
        case Ending.HANDED_TO_PORT:
            return misdelivered(case, Confidence.INFERRED) or _passed(case, hop, Disposition.DELIVERED)
        case Ending.EXITED:
            return _passed(case, hop, Disposition.EXITED)
        case Ending.DROPPED:
            return _dropped(case, hop)
        case Ending.ON_WIRE:
            return _no_endpoint(hop)
        case Ending.LOOPED:
            return _looped(case, hop)
        case Ending.UNKNOWN | Ending.OPEN:
            return unwired(case) or _undecided(hop)
        case _:
            assert_never(case.observed.ending)


def _passed(case: Case, hop: Hop, disposition: Disposition) -> Finding:
    where = port_name(case.scene, hop.bridge, hop.out_port)
    port = case.scene.places.port(hop.bridge, hop.out_port)
    if port is not None and port.vm is not None and port.kind is PortKind.EDGE:
        where = f"{where}, the port of {port.vm}"
    return Finding(disposition, CauseCode.NONE, Confidence.INFERRED, Particulars(towards=where))


def _dropped(case: Case, hop: Hop) -> Finding:
    if hop.drop is DropShape.NO_OUTPUT and hop.note is not None:
        return _no_endpoint(hop)
    step = deciding_step(hop)
    near = () if step is None else step.near_misses
    finding = drop_finding(case, step, hop.drop or DropShape.NO_OUTPUT, Confidence.INFERRED, ())
    return replace(finding, near_misses=near)


def _no_endpoint(hop: Hop) -> Finding:
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.NO_TUNNEL_ENDPOINT,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(hop.bridge), detail=hop.note or "nothing takes it at the other end"),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        drop=hop.drop,
    )


def _looped(case: Case, hop: Hop) -> Finding:
    return Finding(
        disposition=Disposition.LOOPED,
        code=CauseCode.FORWARDING_LOOP,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(hop.bridge), detail=round_phrase(case.observed)),
        culprit=Culprit(hop.bridge.node, hop.bridge),
    )


def _undecided(hop: Hop) -> Finding:
    code = CauseCode.UNKNOWN if hop.unsupported is None else CauseCode.UNSUPPORTED
    detail = f": {hop.note or 'the tables do not say'}" if hop.unsupported is None else hop.unsupported
    step = deciding_step(hop)
    place = str(hop.bridge) if step is None else f"{hop.bridge}, table {step.table_id}"
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=code,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=place, detail=detail),
    )


def _meters(predicted: Trajectory) -> tuple[Evidence, ...]:
    return tuple(
        deduced(f"It passes meter {meter} of {hop.bridge}, which drops what exceeds its rate.")
        for hop in predicted.hops
        for meter in hop.meters
    )
