"""Turns packets that were seen leaving by a port that is no wire into findings: delivered, exited, or stopped there."""

from dataclasses import replace
from functools import lru_cache

from vtrace_ovs.diagnosis.case import Case, Finding, deduced, seen
from vtrace_ovs.diagnosis.causes import cause_of_drop
from vtrace_ovs.diagnosis.compare import STOPPED_AT_OUTPUT, deciding_step
from vtrace_ovs.diagnosis.drops import drop_finding
from vtrace_ovs.diagnosis.naming import endpoint_with, name_of_port, port_name
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.topology import BridgeId, Port, PortKind
from vtrace_ovs.model.trajectory import TO_CONTROLLER, DropShape, Ending, Hop, Step
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition


def handed_over(case: Case) -> Finding:
    """Handed to an edge port. What the endpoint does with it is not ours to see (trap T46)."""
    stopped = stopped_at_output(case)
    if stopped is not None:
        return stopped
    hop = case.hop
    port = case.scene.places.port(hop.bridge, hop.out_port)
    if port is None:
        return _handed_to(hop.bridge, hop.out_port, None, None)
    found = _handed_to(hop.bridge, hop.out_port, port.name, port.vm)
    if not _addressed_elsewhere(port, hop):
        return found
    elsewhere = misdelivered(case, Confidence.OBSERVED)
    if elsewhere is not None:
        return replace(elsewhere, evidence=(*found.evidence, *elsewhere.evidence))
    if hop.headers_out is None or hop.headers_out.eth_dst == port.mac:
        return found
    unknown = deduced(f"The packet's destination address is not the one known of {found.particulars.towards}.")
    return replace(found, evidence=(*found.evidence, unknown))


@lru_cache(maxsize=4096)
def _handed_to(bridge: BridgeId, ofport: int | None, name: str | None, vm: str | None) -> Finding:
    """Delivered to a port: what is found of most packets, and the same of all that left by it."""
    where = name_of_port(bridge, ofport, name)
    return Finding(
        disposition=Disposition.DELIVERED,
        code=CauseCode.NONE,
        confidence=Confidence.OBSERVED,
        particulars=Particulars(towards=where, detail=_behind(vm)),
        evidence=(seen(f"{bridge} logged the packet just before it handed it to {where}."),),
    )


def _behind(vm: str | None) -> str:
    return "" if vm is None else f", the port of {vm}"


def misdelivered(case: Case, confidence: Confidence) -> Finding | None:
    """Handed to an endpoint that does not have the destination address, where another one of the tenant does."""
    hop = case.hop
    port = case.scene.places.port(hop.bridge, hop.out_port)
    if port is None or (owner := _rightful_owner(case, port)) is None:
        return None
    where = port_name(case.scene, hop.bridge, hop.out_port)
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.WRONG_ENDPOINT,
        confidence=confidence,
        particulars=Particulars(towards=where, detail=f"{_behind(port.vm)}, but the destination address is {owner}"),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=(deduced(f"By the inventory, its destination address is {owner}."),),
    )


def _rightful_owner(case: Case, port: Port) -> str | None:
    """Who has the destination address instead of the endpoint that got the packet, if nobody who has it got one."""
    headers = case.hop.headers_out
    if port.tenant is None or headers is None or headers.five_tuple is None or not _addressed_elsewhere(port, case.hop):
        return None
    address = headers.five_tuple.destination
    ways = [hop for hop in case.observed.hops if hop.ending is Ending.HANDED_TO_PORT]
    reached = [case.scene.places.port(hop.bridge, hop.out_port) for hop in ways]
    if any(one is None or one.owns(address) is not False for one in reached):
        return None
    owner = endpoint_with(case.scene, port.tenant, address)
    return None if owner is None else f"that of {owner}"


def _addressed_elsewhere(port: Port, hop: Hop) -> bool:
    """Whether a packet's destination address is none of those known of the endpoint behind a port."""
    headers = hop.headers_out
    return headers is not None and headers.five_tuple is not None and port.owns(headers.five_tuple.destination) is False


def exited(case: Case) -> Finding:
    """Left the overlay by the bridge's own port or towards a bridge that is no VFD."""
    hop = case.hop
    where = port_name(case.scene, hop.bridge, hop.out_port)
    return Finding(
        disposition=Disposition.EXITED,
        code=CauseCode.NONE,
        confidence=Confidence.OBSERVED,
        particulars=Particulars(towards=where),
        evidence=(seen(f"{hop.bridge} logged the packet just before it left by {where}."),),
    )


def stopped_at_output(case: Case) -> Finding | None:
    """The log says it was about to leave, the stored state says that Open vSwitch stops it at that very output."""
    hop, expected = case.hop, case.expected
    if expected is None or expected.drop not in STOPPED_AT_OUTPUT:
        return None
    if expected.out_port is not None and hop.out_port is not None and expected.out_port != hop.out_port:
        return None
    where = port_name(case.scene, hop.bridge, hop.out_port)
    port = case.scene.places.port(hop.bridge, hop.out_port)
    inside = port is not None and port.kind is not PortKind.EDGE
    code = cause_of_drop(expected.drop, None, None, None)
    note = "" if expected.note is None else f" ({expected.note})"
    return Finding(
        disposition=Disposition.DROPPED,
        code=code,
        confidence=Confidence.CORROBORATED,
        particulars=Particulars(place=str(hop.bridge), towards=where, detail=note),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        drop=expected.drop,
        category=CauseCategory.VFD_FAULT if inside and code is CauseCode.PORT_DOWN else None,
        evidence=(
            seen(f"{hop.bridge} logged the packet just before its output to {where}."),
            deduced(f"As the bridge was last read, that output does not happen: {expected.drop.value}."),
        ),
    )


def left_unnamed(case: Case) -> Finding:
    """Left by a port that the flow does not name (NORMAL, a group), or that the inventory does not know."""
    stopped = stopped_at_output(case)
    if stopped is not None:
        return stopped
    step = deciding_step(case.hop)
    if step is not None and step.actions == TO_CONTROLLER:
        return _left_to_controller(case, step)
    hop, expected = case.hop, case.expected
    if expected is not None and expected.drop is DropShape.NO_LIVE_BUCKET:
        return Finding(
            disposition=Disposition.DROPPED,
            code=CauseCode.NO_LIVE_BUCKET,
            confidence=Confidence.INFERRED,
            particulars=Particulars(place=str(hop.bridge)),
            culprit=Culprit(hop.bridge.node, hop.bridge),
            drop=expected.drop,
            evidence=(deduced("As the group was last read, none of its buckets is alive."),),
        )
    addressee = _addressee(case)
    if addressee is not None:
        return _presumably_delivered(case, addressee)
    if expected is not None and expected.unsupported is not None:
        return Finding(
            disposition=Disposition.INCONCLUSIVE,
            code=CauseCode.UNSUPPORTED,
            confidence=Confidence.UNDECIDED,
            particulars=Particulars(place=str(hop.bridge), detail=expected.unsupported),
        )
    where = port_name(case.scene, hop.bridge, hop.out_port)
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.UNKNOWN,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=str(hop.bridge), detail=f": it left by {where}, and was not seen again"),
        evidence=(seen(f"{hop.bridge} logged the packet just before it left by {where}."),),
    )


def _left_to_controller(case: Case, step: Step) -> Finding:
    """The flow gives the packet to the bridge's own controller only: its fate is known where the flow rejects."""
    came = f"{case.hop.bridge} logged the packet at the flow that leaves it to the bridge's controller."
    found = drop_finding(case, step, DropShape.EXPLICIT_DROP, Confidence.INFERRED, (seen(came),))
    if case.scene.profile(case.hop.bridge).rejects(step.cookie):
        return found
    owner = found.culprit.owner if found.culprit is not None else None
    whose = f" (owner: {owner})" if owner is not None else ""
    left = (
        f": its flow in table {step.table_id}{whose} leaves it to the bridge's controller, which may answer, forward "
    )
    return replace(
        found,
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.UNKNOWN,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=str(case.hop.bridge), detail=f"{left}or discard it"),
        drop=None,
        near_misses=(),
    )


def _addressee(case: Case) -> int | None:
    """The edge port an unnamed output must have meant: the predicted one, else the one with the packet's address."""
    hop, expected = case.hop, case.expected
    if hop.out_port is not None:
        return None
    if expected is not None and expected.ending is Ending.HANDED_TO_PORT:
        return expected.out_port
    bridge = case.scene.places.bridge(hop.bridge)
    headers = hop.headers_out
    if bridge is None or headers is None or headers.five_tuple is None:
        return None
    named = [
        port.ofport
        for port in bridge.ports
        if port.kind is PortKind.EDGE
        and port.owns(headers.five_tuple.destination)
        and port.mac in (None, headers.eth_dst)
    ]
    return named[0] if len(named) == 1 else None


def _presumably_delivered(case: Case, ofport: int) -> Finding:
    hop = case.hop
    port = case.scene.places.port(hop.bridge, ofport)
    where = port_name(case.scene, hop.bridge, ofport)
    return Finding(
        disposition=Disposition.DELIVERED,
        code=CauseCode.NONE,
        confidence=Confidence.INFERRED,
        particulars=Particulars(towards=where, detail=_behind(None if port is None else port.vm)),
        evidence=(
            seen(f"{hop.bridge} logged the packet just before an output that names no port."),
            deduced(f"Tables and inventory leave {where} as the port it meant."),
        ),
    )
