"""Turns what was counted of one interval's packets into what was lost where, and what cannot be told.

Every packet that comes into a VFD is sent on, leaves, or is dropped there; what one server sends, another counts as it
arrives. Both are compared by counters that are exact, and so is how many a VFD dropped. Which flow dropped them tell
the counters of flows, which may be off by a few where colors change: they name places, another counter says how many.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from vtrace_ovs.diagnosis.case import Finding, verdict_of
from vtrace_ovs.diagnosis.causes import cause_of_drop
from vtrace_ovs.diagnosis.counted_datapath import lost_between
from vtrace_ovs.diagnosis.naming import counted, place_name
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.counting import CountedPlace, CountKind, Counts, Loss, MeterWindow, Segment, VfdCount
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.profile import GENERIC_PROFILE, PipelineProfile
from vtrace_ovs.model.topology import BridgeId, PortKind, Topology
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition
from vtrace_ovs.model.wording import flow_text

_ON_A_WAY = (CountKind.MARKED, CountKind.PASSED_ON, CountKind.ARRIVED)


@dataclass(frozen=True, slots=True)
class CountingScene:
    """What is known around the counters.

    ``blind`` are VFDs with flows that end packets without being counted, ``down`` the ports (by number) that are down.
    """

    topology: Topology
    profiles: Mapping[BridgeId, PipelineProfile] = field(default_factory=dict)
    blind: frozenset[BridgeId] = frozenset()
    down: frozenset[tuple[BridgeId, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of one interval's packets. ``doubts`` are sentences about what cannot be told."""

    entered: int
    vfds: tuple[VfdCount, ...]
    losses: tuple[Loss, ...]
    doubts: tuple[str, ...]


def balance(
    counts: Counts, meters: Iterable[MeterWindow], scene: CountingScene, dropping: Counts = MappingProxyType({})
) -> Balance:
    """The balance of ``counts``, which are of one color, at every VFD that counts.

    ``meters`` tell what production's did in that time, and a little before and after; ``dropping`` what flows dropped
    then, of either color.
    """
    if any(packets < 0 for packets in counts.values()):
        return Balance(0, (), (), ("counters went backwards: somebody replaced flows of ours",))
    sheet = _Sheet(counts, tuple(meters), scene, dropping)
    losses = (*sheet.drops(), *sheet.missing_inside(), *sheet.not_carried_out(), *sheet.missing_on_the_way())
    return Balance(sheet.entered(), tuple(sheet.vfds()), losses, tuple(dict.fromkeys((*sheet.doubts, *sheet.beyond()))))


class _Sheet:
    """The counters of one interval, by bridge and by segment."""

    def __init__(self, counts: Counts, meters: tuple[MeterWindow, ...], scene: CountingScene, dropping: Counts) -> None:
        self._counts = counts
        self._meters = meters
        self._scene = scene
        self._dropping = dropping
        self.doubts: list[str] = []
        self._at: dict[tuple[BridgeId, CountKind], int] = defaultdict(int)
        for place, packets in counts.items():
            self._at[place.bridge, place.kind] += packets
        self._bridges = sorted({place.bridge for place in counts})

    def entered(self) -> int:
        colors = {place.bridge for place in self._counts if place.kind is CountKind.ENTERED}
        return sum(max(0, self._at[b, CountKind.CAME] - self._at[b, CountKind.ARRIVED]) for b in colors)

    def vfds(self) -> Iterator[VfdCount]:
        for bridge in self._bridges:
            came, sent, dropped = (
                self._at[bridge, kind] for kind in (CountKind.CAME, CountKind.SENT, CountKind.DISCARDED)
            )
            ended = self._at[bridge, CountKind.ENDED] + dropped
            if came or sent or ended:
                yield VfdCount(bridge, came, sent, ended, dropped)

    def drops(self) -> Iterator[Loss]:
        """What flows dropped. Where packets are multiplied, a copy may be dropped and the packet still arrive."""
        for bridge in self._bridges:
            dropped = self._at[bridge, CountKind.DISCARDED]
            if dropped and self._missing(bridge) < 0:
                lost = counted(dropped, "packet")
                self.doubts.append(f"{bridge} sends packets out more than once and drops {lost}: copies, maybe")
            elif dropped:
                yield from self._shared_out(bridge, dropped)

    def _shared_out(self, bridge: BridgeId, dropped: int) -> Iterator[Loss]:
        """Packets a VFD dropped, by flow. What was not told of this color yet is of a flow that dropped any then."""
        shares: Counter[CountedPlace] = Counter()
        left = dropped
        for place, packets in self._of(CountKind.DROPPED, bridge).items():
            shares[place] = min(packets, left)
            left -= shares[place]
        suspects = [place for place in self._dropping if place.bridge == bridge]
        if len(suspects) == 1:
            shares[suspects[0]] += left
            left = 0
        yield from (self._by_flow(place, packets) for place, packets in shares.items() if packets)
        if left and suspects:
            yield self._by_flow(max(suspects, key=self._dropping.__getitem__), left, Confidence.INFERRED)
        elif left:
            yield Loss(left, verdict_of(_somewhere(bridge), None))

    def missing_inside(self) -> Iterator[Loss]:
        """What came into a VFD, and was neither sent nor ended there."""
        for bridge in self._bridges:
            missing = self._missing(bridge)
            for place, packets in self._of(CountKind.ASIDE, bridge).items():
                if missing > 0:
                    yield self._by_flow(place, min(packets, missing))
                    missing -= min(packets, missing)
            if missing > 0 and bridge in self._scene.blind:
                lost = counted(missing, "packet")
                self.doubts.append(f"{lost} not accounted for in {bridge}, where some flows end packets uncounted")
            elif missing > 0:
                yield Loss(missing, verdict_of(self._inside(bridge, missing), None))

    def not_carried_out(self) -> Iterator[Loss]:
        """What flows were told of and the meters beside them did not see: the datapath does something else.

        Open vSwitch tells flows what their megaflow met, whatever it did with it. A packet may pass several bridges of
        a server. Where packets are colored as well, the two cannot be compared.
        """
        inlets = {p.bridge for p in self._of(CountKind.ARRIVED) if p.segment and p.segment.receiver == p.bridge.node}
        for node in sorted({bridge.node for bridge in self._bridges}):
            here = [bridge for bridge in self._bridges if bridge.node == node]
            short = {bridge: unseen for bridge in here if (unseen := self._unseen(bridge)) > 0}
            known = sum(max(0, self._missing(bridge)) for bridge in here)
            if short and min(short.values()) > known:
                first = next((bridge for bridge in short if bridge in inlets), min(short))
                yield Loss(min(short.values()) - known, verdict_of(_somewhere(first), None))

    def missing_on_the_way(self) -> Iterator[Loss]:
        """What one server sent and no other saw arrive. Patch ports lose nothing: both their ends are one lookup."""
        if any(place.segment is None for place in self._of(CountKind.ARRIVED)):
            return
        for node in sorted({bridge.node for bridge in self._bridges}):
            ways = {place.segment for place in self._counts if place.segment and place.segment.sender == node}
            sent = sum(self._at[b, CountKind.SENT] for b in self._bridges if b.node == node)
            arrived = self._of(CountKind.ARRIVED)
            missing = sent - sum(packets for place, packets in arrived.items() if place.segment in ways)
            if missing < 0:
                self.doubts.append(f"{counted(-missing, 'packet')} more came from {node} than it sent")
            elif missing:
                yield from self._on_the_way(node, missing, ways)

    def beyond(self) -> Iterator[str]:
        """The packets whose way goes on where nobody counts them."""
        for place, packets in self._of(CountKind.LEFT).items():
            bridge = self._scene.topology.bridge(place.bridge)
            port = None if bridge is None or place.port is None else bridge.port(place.port)
            if port is not None and port.kind in (PortKind.TUNNEL, PortKind.PATCH):
                yield f"{counted(packets, 'packet')} left {place.bridge} by {port.name} for where nobody counts them"
            elif port is not None and (place.bridge, port.ofport) in self._scene.down:
                yield f"{counted(packets, 'packet')} left {place.bridge} by {port.name}, which is down"
        for place, packets in self._of(CountKind.UNMARKABLE).items():
            yield (
                f"{counted(packets, 'packet')} of IP protocol 0 left {place.bridge} for another server, and Open "
                "vSwitch writes no mark into such packets"
            )
        for place, packets in self._of(CountKind.UNNAMED).items():
            yield f"{counted(packets, 'packet')} left {place.bridge} by a port its flows do not name"
        for place, packets in self._of(CountKind.ARRIVED).items():
            if place.segment is None:
                yield f"{counted(packets, 'packet')} came to {place.bridge} from a server that is not known"

    def _of(self, kind: CountKind, bridge: BridgeId | None = None) -> dict[CountedPlace, int]:
        return {
            place: packets
            for place, packets in self._counts.items()
            if place.kind is kind and packets > 0 and bridge in (None, place.bridge)
        }

    def _missing(self, bridge: BridgeId) -> int:
        """How many packets came into a VFD and were not seen to end there; negative where they were multiplied."""
        ends = sum(self._at[bridge, kind] for kind in (CountKind.SENT, CountKind.ENDED, CountKind.DISCARDED))
        return self._at[bridge, CountKind.CAME] - ends

    def _unseen(self, bridge: BridgeId) -> int:
        """How many packets flows say came into a VFD, beyond those that its meters saw come."""
        told = 0 if self._at[bridge, CountKind.ENTERED] else self._at[bridge, CountKind.ARRIVED]
        return told - self._at[bridge, CountKind.CAME]

    def _inside(self, bridge: BridgeId, missing: int) -> Finding:
        """A meter is named only if it dropped as many that can hardly have been others'."""
        passed = {place.meter_id for place in self._of(CountKind.METERED, bridge)}
        for window in self._meters:
            if window.bridge == bridge and window.meter_id in passed and window.likely >= missing:
                limit = Particulars(str(bridge), detail=f"meter {window.meter_id}")
                culprit = Culprit(bridge.node, bridge, meter_id=window.meter_id)
                sure = Confidence.CORROBORATED if window.surely >= missing else Confidence.INFERRED
                return Finding(Disposition.DROPPED, CauseCode.METER_RATE_LIMIT, sure, limit, culprit=culprit)
        return _somewhere(bridge)

    def _on_the_way(self, node: str, missing: int, ways: set[Segment]) -> Iterator[Loss]:
        """The next server is named where there is only one that packets were sent to, or came to."""
        busy = (place for kind in _ON_A_WAY for place in self._of(kind))
        active = {place.segment.receiver for place in busy if place.segment in ways and place.segment is not None}
        senders = {b for b in self._bridges if b.node == node and self._at[b, CountKind.SENT]}
        next_node = _only(active)
        inlets = {
            place.bridge
            for place in self._counts
            if place.kind is CountKind.ARRIVED and place.segment == Segment(node, next_node or "")
        }
        culprit = Culprit(node, _only(senders), next_node=next_node, next_bridge=_only(inlets))
        if self._may_be_suppressed(senders, ways):
            lost = counted(missing, "packet")
            self.doubts.append(f"{lost} did not arrive from {node}, which may not send out of the port they came by")
            return
        towards = str(culprit.next_bridge or next_node or f"one of {', '.join(sorted(active))}")
        yield Loss(missing, lost_between(culprit, towards, Confidence.INFERRED))

    def _may_be_suppressed(self, senders: set[BridgeId], ways: set[Segment]) -> bool:
        """Whether packets are sent out of the port they came in by: Open vSwitch sends none back by its own port."""
        came = {(place.bridge, place.port) for place in self._of(CountKind.ARRIVED)}
        sent = (place for place in self._of(CountKind.PASSED_ON) if place.segment in ways and place.bridge in senders)
        return any((place.bridge, place.port) in came for place in sent)

    def _by_flow(self, place: CountedPlace, packets: int, sure: Confidence = Confidence.OBSERVED) -> Loss:
        profile = self._scene.profiles.get(place.bridge, GENERIC_PROFILE)
        role = profile.role(place.table_id, place.cookie)
        owner = None if place.cookie is None else profile.owner(place.cookie)
        name = None if role is None else role.name
        culprit = Culprit(place.bridge.node, place.bridge, place.table_id, name, place.flow, place.cookie, owner)
        shape = _shape(place.flow)
        text = "no flow matches" if place.flow is None else flow_text(place.flow, place.cookie)
        finding = Finding(
            Disposition.DROPPED,
            cause_of_drop(shape, role, place.flow, owner),
            sure,
            Particulars(
                place_name(place.bridge, place.table_id, name), text if owner is None else f"{text} (owner: {owner})"
            ),
            culprit=culprit,
            drop=shape,
        )
        return Loss(packets, verdict_of(finding, None))


def _somewhere(bridge: BridgeId) -> Finding:
    code, place = CauseCode.UNKNOWN, Particulars(str(bridge))
    return Finding(Disposition.LOST_IN_VFD, code, Confidence.CORROBORATED, place, culprit=Culprit(bridge.node, bridge))


def _shape(flow: FlowKey | None) -> DropShape:
    if flow is None:
        return DropShape.NO_MATCH
    return DropShape.TABLE_MISS_FLOW if flow.priority == 0 and flow.match == Match() else DropShape.EXPLICIT_DROP


Named = TypeVar("Named")


def _only(found: Collection[Named]) -> Named | None:
    """The one there is; None where there are none or several."""
    return next(iter(found)) if len(found) == 1 else None
