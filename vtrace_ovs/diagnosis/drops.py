"""Turns a drop, seen or predicted, into a finding: which flow did it, whose it is, and what nearly matched instead."""

from collections.abc import Iterator
from typing import TypeGuard

from vtrace_ovs.diagnosis.case import Case, Finding, deduced, seen
from vtrace_ovs.diagnosis.causes import OF_NO_CONNECTION, cause_of_drop, cause_of_miss
from vtrace_ovs.diagnosis.compare import deciding_step
from vtrace_ovs.diagnosis.loops import round_phrase
from vtrace_ovs.diagnosis.naming import counted, endpoint_with, place_name, port_name
from vtrace_ovs.diagnosis.pools import exhausted_pool
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.profile import GENERIC_PROFILE, PipelineProfile
from vtrace_ovs.model.trajectory import DropShape, Hop, NearMiss, Step
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence
from vtrace_ovs.model.wording import flow_text

_BY_FLOW = frozenset({DropShape.EXPLICIT_DROP, DropShape.TABLE_MISS_FLOW, DropShape.NO_OUTPUT})
_GENERIC = frozenset({CauseCode.EXPLICIT_DROP, CauseCode.TABLE_MISS, CauseCode.NO_OUTPUT_ACTION})


def dropped(case: Case) -> Finding:
    """An ``error`` record: the flow, or the lack of one, was seen dropping the packet."""
    hop = case.hop
    step = deciding_step(hop)
    shape = hop.drop or DropShape.EXPLICIT_DROP
    if predicted_the_same(case, step) and case.expected is not None and case.expected.drop is not None:
        shape = case.expected.drop  # the tables know more: actions without an output, for one
    by = "a table without a matching flow" if step is None or step.flow is None else "the flow that drops it"
    evidence = seen(f"{hop.bridge} logged the packet at {by}.")
    if shape is DropShape.OUTPUT_TO_INGRESS:
        where = port_name(case.scene, hop.bridge, hop.out_port)
        evidence = seen(f"{hop.bridge} logged the packet just before an output to its ingress port, {where}.")
        return drop_finding(case, step, shape, Confidence.OBSERVED, (evidence, *_whereabouts(case)))
    return drop_finding(case, step, shape, Confidence.OBSERVED, (evidence,))


def _whereabouts(case: Case) -> tuple[Evidence, ...]:
    """Where the inventory has the destination of a packet that was sent back: perhaps it was sent astray before."""
    hop, places = case.hop, case.scene.places
    headers = hop.headers_out or hop.headers_in
    tenant = places.tenant_of(hop.bridge, hop.in_port, hop.arrived_by)
    if tenant is None or headers is None or headers.five_tuple is None:
        return ()
    owner = endpoint_with(case.scene, tenant, headers.five_tuple.destination)
    return () if owner is None else (deduced(f"By the inventory, its destination address is that of {owner}."),)


def predicted_the_same(case: Case, step: Step | None) -> bool:
    """Whether the stored tables lead the packet to this very lookup, as its last in the deciding VFD."""
    expected = None if case.expected is None else deciding_step(case.expected)
    if step is None or expected is None:
        return False
    return (step.table_id, step.flow) == (expected.table_id, expected.flow)


def drop_finding(
    case: Case, step: Step | None, shape: DropShape, confidence: Confidence, evidence: tuple[Evidence, ...]
) -> Finding:
    """The finding for a drop of this shape at this table lookup of the deciding VFD."""
    hop = case.hop
    profile = case.scene.profile(hop.bridge)
    table_id = None if step is None else step.table_id
    flow = None if step is None else step.flow
    cookie = None if step is None else step.cookie
    role = profile.role(table_id, cookie)
    owner = None if cookie is None else profile.owner(cookie)
    near_misses = _near_misses(case.expected, table_id)
    code = cause_of_drop(shape, role, flow, owner)
    if code is CauseCode.TABLE_MISS:
        code = cause_of_miss(role, near_misses)
    rival = None if flow is None or shape not in _BY_FLOW else _rival(case, flow, near_misses)
    if rival is not None:
        code = CauseCode.OVERLAPPING_FLOWS
    pool = None if rival is not None else exhausted_pool(case, flow)
    if pool is not None:
        code, confidence = CauseCode.NAT_EXHAUSTED, Confidence.CORROBORATED
    out_port = hop.out_port
    if out_port is None and case.expected is not None:
        out_port = case.expected.out_port
    text = "no flow matches" if flow is None else flow_text(flow, cookie)
    return Finding(
        disposition=Disposition.DROPPED,
        code=code,
        confidence=confidence,
        particulars=Particulars(
            place=place_name(hop.bridge, table_id, None if role is None else role.name),
            flow=text if owner is None else f"{text} (owner: {owner})",
            towards=port_name(case.scene, hop.bridge, out_port),
            detail=rival or _of_pool(pool) or (_unknown_meaning(profile) if code in _GENERIC and role is None else ""),
        ),
        culprit=Culprit(
            node=hop.bridge.node,
            bridge=hop.bridge,
            table_id=table_id,
            table_name=None if role is None else role.name,
            flow=flow,
            cookie=cookie,
            owner=owner,
        ),
        drop=shape,
        evidence=(*evidence, *(_of_full_zones(case) if code in OF_NO_CONNECTION else ())),
        near_misses=near_misses,
    )


def _of_pool(pool: str | None) -> str:
    """Why conntrack did not translate: nothing was free, or it holds no more connections."""
    if pool is None:
        return ""
    return f"{pool} was to translate it and did not, as no address and port of these, or no room in its zone, is left"


def _of_full_zones(case: Case) -> Iterator[Evidence]:
    """Why there may be no connection: a zone at its limit lets packets on, and commits none."""
    node = case.hop.bridge.node
    for full in case.scene.full_zones.get(node, ()):
        held = f"{full.connections} of {counted(full.limit, 'connection')}"
        yield seen(f"Connection tracking zone {full.zone} of {node} is full ({held}): it commits no more.")


def _rival(case: Case, flow: FlowKey, near_misses: tuple[NearMiss, ...]) -> str | None:
    """Another flow of the very priority that matches the packet too and does not drop it, if there is one.

    OpenFlow leaves open which of them wins (1.3.5 §5.3), so the stored tables may have led the packet on by it.
    """
    tied = next((near for near in near_misses if not near.differences), None)
    if tied is not None:
        return flow_text(tied.flow, tied.cookie)
    hops = () if case.predicted is None else case.predicted.hops
    here = (one for one in hops if (one.bridge, one.dscp_mark) == (case.hop.bridge, case.hop.dscp_mark))
    found = (step for one in here for step in one.steps if step.ambiguous and step.actions != "drop")
    return next((flow_text(step.flow, step.cookie) for step in found if _ties(step.flow, flow)), None)


def _ties(one: FlowKey | None, flow: FlowKey) -> TypeGuard[FlowKey]:
    """Whether it is another flow of the same table and priority."""
    return one is not None and one != flow and (one.table_id, one.priority) == (flow.table_id, flow.priority)


def _unknown_meaning(profile: PipelineProfile) -> str:
    if profile.name == GENERIC_PROFILE.name:
        return "; what this pipeline's tables mean is not known (no profile)"
    return f"; what this table means is not known to the profile {profile.name}"


def _near_misses(expected: Hop | None, table_id: int | None) -> tuple[NearMiss, ...]:
    """What the prediction says would nearly have matched in the table that decided (idea N1)."""
    if expected is None:
        return ()
    return next(
        (step.near_misses for step in reversed(expected.steps) if step.near_misses and step.table_id == table_id), ()
    )


def looped(case: Case) -> Finding:
    """The same VFD saw the packet again by the same port with the same headers."""
    hop = case.hop
    visits = sum(1 for one in case.observed.hops if one.bridge == hop.bridge and one.in_port == hop.in_port)
    return Finding(
        disposition=Disposition.LOOPED,
        code=CauseCode.FORWARDING_LOOP,
        confidence=Confidence.OBSERVED,
        particulars=Particulars(place=str(hop.bridge), detail=round_phrase(case.observed)),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=(seen(f"{hop.bridge} logged the packet {visits} times by the same port with the same headers."),),
    )
