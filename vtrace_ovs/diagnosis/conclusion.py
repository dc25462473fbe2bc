"""Turns the diagnosed packets of a task into its TaskResult, and their absence into a verdict of its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vtrace_ovs.diagnosis.blame import NOT_COUNTED, Counters, with_numbers
from vtrace_ovs.diagnosis.case import Finding, deduced, seen, verdict_of
from vtrace_ovs.diagnosis.grouping import kind_of
from vtrace_ovs.diagnosis.history import with_history
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.diagnosis.ownership import with_owners
from vtrace_ovs.diagnosis.policing import policed_entrances, policing_notes
from vtrace_ovs.diagnosis.queues import behind_a_queue
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.entrances import entrances
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import (
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    Evidence,
    Fate,
    PathGroup,
    TaskResult,
    Verdict,
)

_IN_ORDER = (Disposition.DELIVERED, Disposition.EXITED, Disposition.UNSEEN, Disposition.INCONCLUSIVE)
"""Without a proven loss, the first of these that any packet met is the task's own."""


@dataclass(frozen=True, slots=True)
class DiagnosedPacket:
    """One packet: its observed way, the predicted one if it could be walked, and the verdict on both."""

    observed: Trajectory
    predicted: Trajectory | None
    verdict: Verdict


def conclude(
    task_id: int,
    request: TraceRequest,
    packets: Sequence[DiagnosedPacket],
    scene: Scene,
    notes: tuple[str, ...] = (),
    counters: Counters = NOT_COUNTED,
) -> TaskResult:
    """The task's result: identical paths grouped, largest group first, and the task's own verdict.

    Proven losses win over delivery, however few packets they hit, and all are named with their packets; else delivery,
    unless most packets' fate is not known; else why it cannot be told. Other fates are noted.
    """
    groups = tuple(replace(group, verdict=_whole(group, scene, counters)) for group in _grouped(packets))
    if not groups:
        return TaskResult(task_id, unseen(request, scene), (), 0, scene.total_copies_lost, notes)
    fates = sorted(_fates(groups), key=_weight, reverse=True)
    losses = tuple(fate for fate in fates if fate.verdict.disposition.is_loss)
    total = len(packets)
    undecided = [fate for fate in fates if fate.verdict.disposition is Disposition.INCONCLUSIVE]
    in_doubt = 2 * sum(fate.packets for fate in undecided) > total
    decisive = losses or tuple((undecided if in_doubt else fates)[:1])
    others = tuple(
        f"{counted(fate.packets, 'packet')} of {total}: {fate.verdict.operator_sentence}"
        for fate in fates
        if fate not in decisive
    )
    return TaskResult(
        task_id,
        _of_many(decisive, total),
        groups,
        total,
        scene.total_copies_lost,
        (*others, *notes, *policing_notes((group.example for group in groups), scene)),
        losses=losses,
    )


def _whole(group: PathGroup, scene: Scene, counters: Counters) -> Verdict:
    """The verdict of a group with what is known of what it blames: its history, what was counted there, whose it is."""
    verdict = behind_a_queue(with_history(group.verdict, scene), group.example, scene, counters)
    verdict = with_numbers(verdict, group.example, scene, counters)
    return with_owners(verdict, group.example, scene)


def _grouped(packets: Sequence[DiagnosedPacket]) -> tuple[PathGroup, ...]:
    by_path: dict[object, list[DiagnosedPacket]] = {}
    for packet in packets:
        by_path.setdefault(_signature(packet), []).append(packet)
    groups = [
        PathGroup(alike[0].verdict, alike[0].observed, len(alike), alike[0].predicted) for alike in by_path.values()
    ]
    return tuple(sorted(groups, key=lambda group: -group.packets))


def _signature(packet: DiagnosedPacket) -> object:
    """Same bridges, ports, flows and verdict; packets that refuse a connection are kept apart."""
    return kind_of(packet.observed), _outcome(packet.verdict), packet.verdict.confidence


def _outcome(verdict: Verdict) -> tuple[Disposition, CauseCode, Culprit | None]:
    return verdict.disposition, verdict.code, verdict.culprit


def _fates(groups: tuple[PathGroup, ...]) -> list[Fate]:
    """Each distinct outcome with its packets, whatever the path that led to it."""
    counts: dict[object, Fate] = {}
    for group in groups:
        known = counts.get(_outcome(group.verdict), Fate(0, group.verdict))
        counts[_outcome(group.verdict)] = replace(known, packets=known.packets + group.packets)
    return list(counts.values())


def _weight(fate: Fate) -> tuple[bool, int, int]:
    disposition = fate.verdict.disposition
    order = 0 if disposition.is_loss else -_IN_ORDER.index(disposition)
    return disposition.is_loss, order, fate.packets


def _of_many(decisive: Sequence[Fate], total: int) -> Verdict:
    """The first verdict with what it and the others say, each with the number of packets it is about."""
    verdict = decisive[0].verdict
    if total == 1:
        return verdict
    for_tenants: Counter[str] = Counter()
    for fate in decisive:
        for_tenants[fate.verdict.tenant_sentence] += fate.packets
    return replace(
        verdict,
        operator_sentence=" ".join(
            f"{_lead(fate.packets, total)}: {lowered(fate.verdict.operator_sentence)}" for fate in decisive
        ),
        tenant_sentence=" ".join(
            f"{_lead(packets, total)} we followed: {lowered(sentence)}" for sentence, packets in for_tenants.items()
        ),
        remedy=" ".join(dict.fromkeys(fate.verdict.remedy for fate in decisive if fate.verdict.remedy)),
    )


def _lead(packets: int, total: int) -> str:
    return f"All {total} packets" if packets == total else f"{packets} of {total} packets"


def lowered(sentence: str) -> str:
    """The sentence as it reads behind a colon; names keep their case."""
    first, space, rest = sentence.partition(" ")
    return f"{first.lower()}{space}{rest}" if first.istitle() and first.isalpha() else sentence


def unseen(request: TraceRequest, scene: Scene) -> Verdict:
    """Why no packet of the filter was judged, as far as it is known: mostly none was seen at any inlet."""
    sources = tuple(dict.fromkeys(bridge for bridge, _ in entrances(scene.topology, request)))
    dark = {bridge: scene.unreachable[bridge] for bridge in sources if bridge in scene.unreachable}
    unwatched = {bridge: scene.unobserved[bridge] for bridge in sources if bridge in scene.unobserved}
    if scene.undecided:
        finding = _inconclusive(f"{counted(scene.undecided, 'packet')} came, and none was followed to its end yet")
    elif scene.total_copies_lost:
        finding = _inconclusive(lost_copies(scene))
    elif dark and len(dark) == len(sources):
        finding = _source_dead(dark)
    elif dark or unwatched:
        finding = _not_watched({**dark, **unwatched})
    elif scene.uncolored:
        finding = _inconclusive(
            f"of {counted(scene.uncolored, 'marked packet')}, no copy tells who marked it, and they may be forged"
        )
    elif scene.unanswered:
        finding = _unresolved(request.filter, scene.unanswered)
    else:
        corroborated = bool(sources) and all(_took_none(scene, one) for one in sources)
        finding = _not_sent(sources, policed_entrances(request, scene), corroborated=corroborated)
    return verdict_of(finding, None)


def lost_copies(scene: Scene) -> str:
    """How many copies are missing, and of which VFDs, as a clause."""
    counts = Counter(scene.copies_capped)
    counts.update({bridge: tally.lost for bridge, tally in scene.copies.items()})
    where = ", ".join(f"{count} of {bridge}" for bridge, count in sorted(counts.items()) if count)
    copies = counted(counts.total() or scene.total_copies_lost, "copy", "copies")
    return f"{copies} of traced packets never arrived" + (f": {where}" if where else "")


def _took_none(scene: Scene, bridge: BridgeId) -> bool:
    tally = scene.copies.get(bridge)
    return tally is not None and not tally.taken and bridge not in scene.uncounted


def _inconclusive(fact: str) -> Finding:
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.EVIDENCE_LOST,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place="its first device", detail=fact),
        evidence=(seen(f"{fact[0].upper()}{fact[1:]}."),),
    )


def _source_dead(dark: dict[BridgeId, str]) -> Finding:
    bridge, reason = next(iter(dark.items()))
    return Finding(
        disposition=Disposition.UNSEEN,
        code=CauseCode.VSWITCHD_DEAD,
        confidence=Confidence.INFERRED,
        particulars=Particulars(place=" and ".join(map(str, dark)), detail=reason),
        culprit=Culprit(bridge.node, bridge) if len(dark) == 1 else None,
        evidence=tuple(seen(f"{one}: {why}.") for one, why in dark.items()),
    )


def _not_watched(blind: dict[BridgeId, str]) -> Finding:
    names = ", ".join(map(str, blind))
    return Finding(
        disposition=Disposition.UNSEEN,
        code=CauseCode.EVIDENCE_LOST,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place="its source", detail=f"{names} could not be watched, and nobody else saw it"),
        evidence=tuple(seen(f"{one}: {why}.") for one, why in blind.items()),
    )


def _unresolved(traffic: Filter, unanswered: Mapping[IPAddress, int]) -> Finding:
    """The sender waits for a neighbour: the destination itself, or somebody who may be its gateway."""

    def wanted(target: IPAddress) -> bool:
        return traffic.destination is not None and target in traffic.destination

    target, times = max(unanswered.items(), key=lambda asked: (wanted(asked[0]), asked[1]))
    either = "" if wanted(target) else "; if that is its next hop to the destination, this is why it sends nothing"
    return Finding(
        disposition=Disposition.UNSEEN,
        code=CauseCode.NEIGHBOUR_UNRESOLVED,
        confidence=Confidence.INFERRED,
        particulars=Particulars(detail=f"{target} and gets no answer{either}"),
        evidence=(
            seen(f"{times} requests for {target} (ARP or ND) came in, a second apart, and no packet of the traffic."),
        ),
    )


def _not_sent(sources: tuple[BridgeId, ...], policed: str | None, *, corroborated: bool) -> Finding:
    """What a port's policing drops comes no further: then it stays open whether anything was sent."""
    watched: tuple[Evidence, ...] = (
        deduced(f"Every VFD where it could have entered was watched: {', '.join(map(str, sources)) or 'none'}."),
    )
    if corroborated:
        watched = (*watched, seen("None of them took a copy of anything, by their own count."))
    if policed is not None:
        watched = (*watched, seen(f"Ingress policing drops what exceeds it before any flow: {policed}."))
    return Finding(
        disposition=Disposition.UNSEEN,
        code=CauseCode.NOT_SENT,
        confidence=Confidence.OBSERVED if corroborated and policed is None else Confidence.INFERRED,
        particulars=Particulars(detail="" if policed is None else f"; ingress policing may have dropped it: {policed}"),
        evidence=watched,
    )
