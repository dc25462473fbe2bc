"""Turns a packet that left by a tunnel or patch port and was not seen at the next VFD into a finding."""

from dataclasses import replace

from vtrace_ovs.diagnosis.arrivals import exited, stopped_at_output
from vtrace_ovs.diagnosis.case import Case, Finding, deduced, seen
from vtrace_ovs.diagnosis.compare import deciding_step
from vtrace_ovs.diagnosis.datapath import contradicting, unfollowed
from vtrace_ovs.diagnosis.loops import round_phrase
from vtrace_ovs.diagnosis.missing import evidence_missing, logged_before_silence
from vtrace_ovs.diagnosis.naming import counted, place_name, port_name
from vtrace_ovs.diagnosis.sizes import USERSPACE, too_large
from vtrace_ovs.diagnosis.underlay import dropped_by_underlay, passed_underlay, ports_down
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.places import NOWHERE, Onward
from vtrace_ovs.model.topology import BridgeId, PortKind
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence

_TOO_DEEP = frozenset({DropShape.RESUBMIT_LIMIT, DropShape.RECURSION_LIMIT})


def on_wire(case: Case) -> Finding:
    """The last thing known is the packet's ``out`` by a tunnel or patch port."""
    hop = case.hop
    stopped = stopped_at_output(case) or _translation_gave_up(case, hop.bridge.node)
    if stopped is not None:
        return stopped
    nowhere = unwired(case)
    if nowhere is not None:
        return replace(nowhere, confidence=Confidence.CORROBORATED, evidence=(_departed(case), *nowhere.evidence))
    onward = NOWHERE if hop.out_port is None else case.scene.places.onward(hop.bridge, hop.out_port, hop.left_by)
    if onward.kind is PortKind.PATCH and not onward.arrivals and _leads_to_underlay(case):
        return exited(case)
    for rule in _RULES_OF_THE_WIRE:
        finding = rule(case, onward)
        if finding is not None:
            return finding
    return _lost_between(case, onward)


def _departed(case: Case) -> Evidence:
    where = port_name(case.scene, case.hop.bridge, case.hop.out_port)
    return seen(f"{case.hop.bridge} logged the packet just before it left by {where}.")


def _translation_gave_up(case: Case, node: str | None) -> Finding | None:
    """Bridges joined by patch ports share one translation: a limit reached in it undoes every output and copy of it."""
    last = None if case.predicted is None or case.expected is None else case.predicted.last
    if last is None or last.drop not in _TOO_DEEP or last.bridge.node != node or not _follows(case, last):
        return None
    step = deciding_step(last)
    table_id = None if step is None else step.table_id
    role = case.scene.profile(last.bridge).role(table_id, None if step is None else step.cookie)
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.TRANSLATION_LIMIT,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=place_name(last.bridge, table_id, None if role is None else role.name)),
        culprit=Culprit(last.bridge.node, last.bridge, table_id, None if role is None else role.name),
        drop=last.drop,
        evidence=(_departed(case), deduced(f"The stored tables exceed a limit at {last.bridge}: {last.drop.value}.")),
    )


def _follows(case: Case, last: Hop) -> bool:
    """Whether every hop foretold from here on is of that server, so of the translation that gives up."""
    hops = () if case.predicted is None else case.predicted.hops
    return all(hop.bridge.node == last.bridge.node for hop in hops if hop.dscp_mark > case.hop.dscp_mark)


def _gave_up_there(case: Case, onward: Onward) -> Finding | None:
    """Where a translation gives up, not even the ``in`` of the packet is logged."""
    return _translation_gave_up(case, onward.node)


def _leads_to_underlay(case: Case) -> bool:
    """Whether the patch port's other end exists, on a bridge that is no VFD."""
    places, hop = case.scene.places, case.hop
    port = places.port(hop.bridge, hop.out_port)
    return port is not None and places.topology.patch_peer(hop.bridge, port) is not None


def unwired(case: Case) -> Finding | None:
    """Sent to a patch port whose other end does not exist on its server, or names another port."""
    hop, topology = case.hop, case.scene.topology
    port = case.scene.places.port(hop.bridge, hop.out_port)
    if port is None or port.kind is not PortKind.PATCH or topology.patch_peer(hop.bridge, port) is not None:
        return None
    here = [bridge for bridge in topology.bridges if bridge.id.node == hop.bridge.node]
    peer = next((one for bridge in here if port.peer and (one := bridge.port_named(port.peer))), None)
    if port.peer is None:
        detail = "it names no peer"
    elif peer is None:
        detail = f"its peer {port.peer} does not exist on {hop.bridge.node}"
    else:
        detail = f"its peer {port.peer} names {peer.peer or 'nobody'} as its own"
    where = port_name(case.scene, hop.bridge, hop.out_port)
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.PATCH_UNWIRED,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(hop.bridge), towards=where, detail=detail),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=(deduced(f"By the inventory, {where} leads nowhere: {detail}."),),
    )


def _refused(case: Case, onward: Onward) -> Finding | None:
    """No tunnel port of the server takes it: each is configured for something else, or there is none."""
    if onward.kind is not PortKind.TUNNEL or onward.node is None or onward.arrivals or not _ports_known(case, onward):
        return None
    refusing = {bridge for bridge, _ in onward.refusals} or set(_candidates(case, onward))
    reasons = "; ".join(why for _, why in onward.refusals)
    detail = f"{onward.node} ({onward.destination}) has no tunnel port that takes it{': ' if reasons else ''}{reasons}"
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.NO_TUNNEL_ENDPOINT,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(case.hop.bridge), detail=detail),
        culprit=Culprit(onward.node, next(iter(refusing)) if len(refusing) == 1 else None),
        evidence=(_departed(case), deduced(f"By the inventory, {detail}.")),
    )


def _no_endpoint(case: Case, onward: Onward) -> Finding | None:
    if onward.kind is not PortKind.TUNNEL or (onward.destination is not None and onward.node is None):
        return None
    note = None if case.expected is None or case.expected.drop is not DropShape.NO_OUTPUT else case.expected.note
    hop = case.hop
    if onward.destination is not None and onward.arrivals:
        return None
    proven = note is not None
    detail = note or (
        "the tunnel destination is not known"
        if onward.destination is None
        else f"{onward.node} ({onward.destination}) has no tunnel port that takes it"
    )
    return Finding(
        disposition=Disposition.DROPPED if proven else Disposition.INCONCLUSIVE,
        code=CauseCode.NO_TUNNEL_ENDPOINT,
        confidence=Confidence.CORROBORATED if proven else Confidence.UNDECIDED,
        particulars=Particulars(place=str(hop.bridge), detail=detail),
        culprit=Culprit(hop.bridge.node, hop.bridge, next_node=onward.node),
        drop=DropShape.NO_OUTPUT if proven else None,
        evidence=(_departed(case), deduced(f"{hop.bridge} sends it into a tunnel, but {detail}.")),
    )


def _unreachable_endpoint(case: Case, onward: Onward) -> Finding | None:
    """Sent to what is no server of the inventory, and ovs-vswitchd has no way there: so it sent nothing."""
    if onward.kind is not PortKind.TUNNEL or onward.node is not None or onward.destination is None:
        return None
    hop = case.hop
    bridge, reach = case.scene.places.bridge(hop.bridge), case.scene.reaches.get(hop.bridge.node)
    by_itself = bridge is not None and bridge.datapath_type == USERSPACE
    obstacle = reach.obstacle(onward.destination) if by_itself and reach is not None else None
    if obstacle is None:
        return None
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.NO_TUNNEL_ENDPOINT,
        confidence=Confidence.CORROBORATED,
        particulars=Particulars(place=str(hop.bridge), detail=obstacle),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=(
            _departed(case),
            deduced(f"By the inventory, no server has the tunnel endpoint {onward.destination}."),
            seen(f"ovs-vswitchd of {hop.bridge.node} can send nothing there: {obstacle}."),
        ),
    )


def _ports_known(case: Case, onward: Onward) -> bool:
    """Whether the inventory has every port of that server's VFDs: none is waiting for its ovs-vswitchd to report."""
    bridges = [bridge for bridge in case.scene.topology.vfds() if bridge.id.node == onward.node]
    return bool(bridges) and all(bridge.dpid is not None for bridge in bridges)


def _candidates(case: Case, onward: Onward) -> tuple[BridgeId, ...]:
    """The VFDs it should have come in at; every VFD of the server when no tunnel port of it is known."""
    if onward.arrivals:
        return tuple(bridge for bridge, _ in onward.arrivals)
    if onward.node is None:
        return ()
    return tuple(bridge.id for bridge in case.scene.topology.vfds() if bridge.id.node == onward.node)


def _dead(case: Case, onward: Onward) -> Finding | None:
    candidates = _candidates(case, onward)
    reasons = {bridge: case.scene.unreachable.get(bridge) for bridge in candidates}
    if not reasons or None in reasons.values():
        return None
    for candidate in reasons:
        busy = logged_before_silence(case, candidate, _departed(case))
        if busy is not None:
            return busy
    bridge, reason = next(iter(reasons.items()))
    return Finding(
        disposition=Disposition.LOST_IN_VFD,
        code=CauseCode.VSWITCHD_DEAD,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(bridge) if len(reasons) == 1 else bridge.node, detail=str(reason)),
        culprit=Culprit(bridge.node, bridge if len(reasons) == 1 else None),
        evidence=(_departed(case), *(seen(f"{one}: {why}.") for one, why in reasons.items())),
    )


def _foreseen_loop(case: Case, _: Onward) -> Finding | None:
    """Marks run out before a loop between servers can be seen; as far as they reach, it went as the tables say."""
    limit, predicted = case.scene.hop_limit, case.predicted
    if limit is None or case.hop.dscp_mark < limit or case.expected is None or predicted is None:
        return None
    again = predicted.last
    if predicted.ending is not Ending.LOOPED or again is None:
        return None
    round_again = f"the stored tables lead it to {again.bridge} again, and would as often as its TTL allows"
    return Finding(
        disposition=Disposition.LOOPED,
        code=CauseCode.FORWARDING_LOOP,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=str(again.bridge), detail=round_phrase(predicted)),
        culprit=Culprit(again.bridge.node, again.bridge),
        evidence=(_departed(case), deduced(f"It was followed for {limit} hops; {round_again}.")),
    )


def _unfollowable(case: Case, onward: Onward) -> Finding | None:
    """The next VFD could not have logged it: no mark left, no mark on it, not instrumented, or not in the inventory."""
    hop, scene = case.hop, case.scene
    code, detail = CauseCode.OUTSIDE_INVENTORY, ""
    candidates = _candidates(case, onward)
    seen_at = case.observed.first_seen
    blind = [(bridge, reason) for bridge in candidates if (reason := scene.unwatched(bridge, seen_at)) is not None]
    if scene.hop_limit is not None and hop.dscp_mark >= scene.hop_limit:
        code, detail = CauseCode.HOP_LIMIT_REACHED, f" (the limit is {scene.hop_limit} hops)"
    elif blind:
        detail = f": {blind[0][0]}: {blind[0][1]}"
    elif onward.destination is not None and onward.node is None:
        detail = ": no server of the inventory has that tunnel endpoint"
    elif hop.unmarked:
        detail = ": it left without a mark"
    elif candidates:
        return None
    towards = _towards(case, onward)
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=code,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=str(hop.bridge), towards=towards, detail=detail),
        evidence=(_departed(case), deduced(f"No record can be expected from {towards}{detail}.")),
    )


def _towards(case: Case, onward: Onward) -> str:
    if len(onward.arrivals) == 1:
        return str(onward.arrivals[0][0])
    if onward.node is not None:
        return f"{onward.node} ({onward.destination})" if onward.destination is not None else onward.node
    if onward.destination is not None:
        return str(onward.destination)
    return f"what is behind {port_name(case.scene, case.hop.bridge, case.hop.out_port)}"


def _evidence_missing(case: Case, onward: Onward) -> Finding | None:
    return evidence_missing(case, _candidates(case, onward), _towards(case, onward), _departed(case))


def _lost_between(case: Case, onward: Onward) -> Finding:
    hop = case.hop
    candidates = _candidates(case, onward)
    next_bridge = candidates[0] if len(candidates) == 1 else None
    told = dropped_by_underlay(case, onward, _departed(case))
    told = told or contradicting(case, onward.node, next_bridge, _departed(case))
    if told is not None:
        return told
    across_patch = onward.kind is PortKind.PATCH
    towards = _towards(case, onward)
    evidence, all_counted = _silence(case, candidates, towards)
    unknown = unfollowed(case, onward.node)
    return Finding(
        disposition=Disposition.LOST_IN_VFD if across_patch else Disposition.LOST_ON_WIRE,
        code=CauseCode.PATCH_LOSS if across_patch else CauseCode.UNDERLAY_LOSS,
        confidence=Confidence.CORROBORATED if all_counted and not unknown else Confidence.INFERRED,
        particulars=Particulars(
            place=_sender(case, onward),
            towards=towards,
            detail=f", or dropped in the datapath of {unknown}" if unknown else "",
        ),
        culprit=Culprit(node=hop.bridge.node, bridge=hop.bridge, next_node=onward.node, next_bridge=next_bridge),
        evidence=(
            *evidence,
            _followed(unknown),
            *(() if across_patch else (*passed_underlay(case, onward), *ports_down(case))),
        ),
    )


def _followed(unknown: str) -> Evidence:
    if unknown:
        return deduced(f"Whether the datapath of {unknown} does with it what its flow tables say is not known.")
    return seen("No datapath flow for such packets contradicts the flow tables, at either end.")


def _silence(case: Case, candidates: tuple[BridgeId, ...], towards: str) -> tuple[tuple[Evidence, ...], bool]:
    """What is known of the silence beyond, and whether all copies taken there are known to have come."""
    evidence = [_departed(case), seen(f"{towards} answers, but logged no such packet coming in.")]
    tallies = [case.scene.copies.get(bridge) for bridge in candidates]
    taken = [tally.taken for tally in tallies if tally is not None]
    all_counted = bool(taken) and len(taken) == len(tallies)
    if all_counted:
        copies = counted(sum(taken), "copy", "copies")
        evidence.append(
            seen(f"Of {copies} it took, none is missing." if any(taken) else "It took no copy of anything.")
        )
    return tuple(evidence), all_counted


def _sender(case: Case, onward: Onward) -> str:
    """For a tunnel also the outer addresses: whoever searches the underlay needs them."""
    tunnel = case.hop.left_by
    if onward.kind is not PortKind.TUNNEL or tunnel is None:
        return str(case.hop.bridge)
    return f"{case.hop.bridge} (VNI {tunnel.vni}, from {tunnel.source} to {onward.destination})"


_RULES_OF_THE_WIRE = (
    *(too_large, _foreseen_loop, _dead, _refused, _no_endpoint, _unreachable_endpoint),
    *(_unfollowable, _evidence_missing, _gave_up_there),
)
