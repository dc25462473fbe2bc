"""Turns post-cards from underlay bridges into the finding that one of them drops what was lost on the wire."""

from collections import Counter

from vtrace_ovs.diagnosis.case import Case, Finding, seen
from vtrace_ovs.diagnosis.naming import counted, place_name
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.places import Onward
from vtrace_ovs.model.postcard import DownPort, Postcard
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence
from vtrace_ovs.model.wording import flow_text

MOST_NAMED = 8
"""So many ports that are down are named, and bridges; switches may have many that nobody uses."""


def dropped_by_underlay(case: Case, onward: Onward, departed: Evidence) -> Finding | None:
    """An underlay bridge was seen dropping traffic of this task between the same tunnel endpoints.

    Not this very packet: what it drops is copied only once a packet is lost. A packet of one of the five-tuples that
    were seen dropped takes the same way, as switches share out by five-tuples; of another, that is inferred.
    """
    cards = _cards(case, onward)
    if not cards:
        return None
    card, *others = sorted(cards, key=lambda one: (not _same_way(case, one), -one.packets))
    missed = card.flow is None
    flow = "no flow matches" if card.flow is None else flow_text(card.flow, card.cookie)
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.UNDERLAY_NO_ROUTE if missed else CauseCode.UNDERLAY_DENY,
        confidence=Confidence.CORROBORATED if _same_way(case, card) else Confidence.INFERRED,
        particulars=Particulars(place=place_name(card.bridge, card.table_id, None), flow=flow),
        culprit=Culprit(card.bridge.node, card.bridge, card.table_id, flow=card.flow, cookie=card.cookie),
        drop=DropShape.NO_MATCH if missed else DropShape.EXPLICIT_DROP,
        evidence=(departed, *(_told(one) for one in (card, *others))),
    )


def passed_underlay(case: Case, onward: Onward) -> tuple[Evidence, ...]:
    """Where later packets between the same endpoints were seen, and where not; nothing if nobody saw any."""
    tunnel = case.hop.left_by
    ends = None if tunnel is None else (tunnel.source, onward.destination)
    counts = Counter(
        {one.bridge: one.packets for one in case.scene.underlay_passed if (one.source, one.destination) == ends}
    )
    came = [f"{packets} came to {bridge}" for bridge, packets in sorted(counts.items()) if packets]
    if ends is None or not came:
        return ()
    none = [f"none to {bridge}" for bridge, packets in sorted(counts.items()) if not packets]
    told = [*came, *none][:MOST_NAMED]
    left = f", and so on for {counted(more, 'more bridge')}" if (more := len(counts) - len(told)) else ""
    return (seen(f"Of later packets from {ends[0]} to {ends[1]}, {', '.join(told)}{left}."),)


def ports_down(case: Case) -> tuple[Evidence, ...]:
    """The ports of underlay bridges by which it cannot have gone on; whether it should have, is not known."""
    down = sorted(case.scene.underlay_down, key=lambda port: (port.bridge, port.ofport))
    told = tuple(_told_down(port) for port in down[:MOST_NAMED])
    rest = len(down) - len(told)
    return (*told, seen(f"{counted(rest, 'more port')} of underlay bridges cannot send either.")) if rest else told


def _told_down(port: DownPort) -> Evidence:
    state = "is down" if port.switched_off else "has no carrier"
    return seen(f"Port {port.ofport} ({port.name}) of {port.bridge} {state}.")


def _cards(case: Case, onward: Onward) -> list[Postcard]:
    tunnel = case.hop.left_by
    if tunnel is None:
        return []
    ends = (tunnel.source, onward.destination, tunnel.vni)
    return [
        card
        for card in case.scene.postcards
        if (card.segment.source, card.segment.destination, card.segment.vni) == ends
    ]


def _same_way(case: Case, card: Postcard) -> bool:
    headers = case.hop.headers_out or case.hop.headers_in
    return headers is not None and headers.five_tuple in card.five_tuples


def _told(card: Postcard) -> Evidence:
    where = place_name(card.bridge, card.table_id, None)
    how = "where no flow matches" if card.flow is None else f"by {flow_text(card.flow, card.cookie)}"
    packets = f"{counted(card.packets, 'later packet')} of the same traffic"
    ends = f"from {card.segment.source} to {card.segment.destination}, VNI {card.segment.vni}"
    return seen(f"{where} was seen dropping {packets} ({ends}) {how}.")
