"""Traffic counted by color at every VFD, interval by interval, and what was lost where and when (the paper's §6.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Confidence, Verdict

COUNTING_TIME_RANGE = range(1, 43_201)
INTERVAL_RANGE = range(1, 601)
DEFAULT_COUNTING_TIME = 60
DEFAULT_INTERVAL = 1
FEW = 10
"""One in so many packets is few."""

_STRONGEST_FIRST = tuple(Confidence)


class CountKind(Enum):
    """Where on its way through a VFD a packet is counted.

    By meters, to the packet: CAME: it comes in. SENT: it leaves through a tunnel for another VFD that will count it.
    ENDED: it leaves in any other way. DISCARDED: a flow or a miss drops it.

    By flows; on the server that colors, these may take some packets of one color for the other's: ENTERED: it is
    colored. ARRIVED: it comes from another VFD. MARKED: it leaves for another VFD. PASSED_ON: it does so by a tunnel,
    and came into this very bridge by a tunnel. LEFT: it leaves by a port for a VM
    or for anyone who will not count it. UNMARKABLE: it leaves by a tunnel, but its IP protocol is 0, and Open vSwitch
    writes no mark into it. UNNAMED: it leaves by a group, NORMAL, a register or LOCAL. DROPPED: this flow
    or a miss drops it. ASIDE: a flow drops it in a table that other tables still follow. METERED: it passes a flow with
    a meter of production's. OTHER_DSCP: it is of the traffic, but has a DSCP that is not counted.
    """

    CAME = "came"
    SENT = "sent"
    ENDED = "ended"
    DISCARDED = "discarded"
    ENTERED = "entered"
    ARRIVED = "arrived"
    MARKED = "marked"
    PASSED_ON = "passed on"
    LEFT = "left"
    UNMARKABLE = "unmarkable"
    UNNAMED = "unnamed"
    DROPPED = "dropped"
    ASIDE = "aside"
    METERED = "metered"
    OTHER_DSCP = "other dscp"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """The way between two VFDs that count: from server to server by tunnel, or from bridge to bridge in one server."""

    sender: str
    receiver: str


@dataclass(frozen=True, slots=True)
class CountedPlace:
    """What one counter counts. ``color`` is 0 or 1.

    ``port`` is that of ingress or egress; ``segment`` the way it came or goes, None where the other end is not known.
    ``flow`` and ``cookie`` are those of the production flow, None for a miss, in ``table_id``.
    """

    bridge: BridgeId
    kind: CountKind
    color: int
    port: int | None = None
    segment: Segment | None = None
    table_id: int | None = None
    flow: FlowKey | None = None
    cookie: int | None = None
    meter_id: int | None = None


Counts = Mapping[CountedPlace, int]
"""Packets by place."""


@dataclass(frozen=True, slots=True)
class MeterWindow:
    """What a production meter did in some time: how many came to it, of these from ``others``, and what it dropped.

    Counters are read one after another, so a few of ``others`` may be none.
    """

    bridge: BridgeId
    meter_id: int
    passed: int
    others: int
    dropped: int

    @property
    def surely(self) -> int:
        """How many of the packets it dropped were not others'."""
        return max(0, self.dropped - self.others)

    @property
    def likely(self) -> int:
        """How many of them likely were not: all, where hardly anybody else's packets came to it."""
        return self.dropped if FEW * self.others <= self.passed else self.surely


@dataclass(frozen=True, slots=True)
class Loss:
    """Packets lost at one place; the verdict names it."""

    packets: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class VfdCount:
    """The packets of one interval in one VFD: that came in, were sent by tunnel, and ended there in any other way.

    To end is to leave by another port, or to be ``dropped`` by a flow.
    """

    bridge: BridgeId
    came: int
    sent: int
    ended: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Interval:
    """The packets colored between two moments (Unix seconds), followed to their end. ``entered`` were colored.

    ``unknown`` says why not all of it can be told; the losses named are proven all the same.
    """

    began_at: float
    ended_at: float
    entered: int
    vfds: tuple[VfdCount, ...] = ()
    losses: tuple[Loss, ...] = ()
    unknown: str | None = None

    @property
    def lost(self) -> int:
        """How many packets were lost, at all places."""
        return sum(loss.packets for loss in self.losses)


@dataclass(frozen=True, slots=True)
class PlaceOfLoss:
    """A place that lost packets, how many in all, and the intervals it lost them in."""

    packets: int
    verdict: Verdict
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """All intervals of a task. ``other_dscp`` packets had a DSCP that is not counted."""

    intervals: tuple[Interval, ...] = ()
    other_dscp: int = 0

    @property
    def doubtful(self) -> tuple[Interval, ...]:
        """The intervals of which not all can be told."""
        return tuple(interval for interval in self.intervals if interval.unknown is not None)

    @property
    def entered(self) -> int:
        """The packets that were colored."""
        return sum(interval.entered for interval in self.intervals)

    @property
    def lost(self) -> int:
        """Those of them that were lost for sure."""
        return sum(interval.lost for interval in self.intervals)

    def by_place(self) -> tuple[PlaceOfLoss, ...]:
        """Each place that lost packets, that of most packets first."""
        found: dict[object, list[tuple[Interval, Loss]]] = {}
        for interval in self.intervals:
            for loss in interval.losses:
                verdict = loss.verdict
                found.setdefault((verdict.disposition, verdict.code, verdict.culprit), []).append((interval, loss))
        return tuple(sorted((_place(moments) for moments in found.values()), key=lambda place: -place.packets))


def _place(moments: list[tuple[Interval, Loss]]) -> PlaceOfLoss:
    """The place these losses share; it is no surer than the least sure of them."""
    verdict = max((loss.verdict for _, loss in moments), key=lambda one: _STRONGEST_FIRST.index(one.confidence))
    packets = sum(loss.packets for _, loss in moments)
    return PlaceOfLoss(packets, verdict, tuple(interval for interval, _ in moments))


@dataclass(frozen=True, slots=True)
class CountReport:
    """Everything a counting task found out. ``interval`` is the length asked for, in seconds."""

    task_id: int
    interval: int
    verdict: Verdict
    counted: Counted
    notes: tuple[str, ...] = ()
