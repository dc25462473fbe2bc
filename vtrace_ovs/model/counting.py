"""Traffic counted by color at every VFD, interval by interval, and what was lost where and when (the paper's §6.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Culprit

COUNTING_TIME_RANGE = range(1, 43_201)
INTERVAL_RANGE = range(1, 601)
DEFAULT_COUNTING_TIME = 60
DEFAULT_INTERVAL = 1


class CountKind(Enum):
    """Where on its way through a VFD a packet is counted.

    ENTERED: it is colored. ARRIVED: it comes from another VFD. SENT: it leaves for another VFD that will count it.
    LEFT: it leaves by a port for a VM or for anyone who will not count it. UNNAMED: it leaves by a group, NORMAL, a
    register or LOCAL. DROPPED: by a flow or a miss. ASIDE: a flow drops it in a table that other tables still follow.
    METERED: it passes a flow with a meter. OTHER_DSCP: it is of the traffic, but has a DSCP that is not counted.
    """

    ENTERED = "entered"
    ARRIVED = "arrived"
    SENT = "sent"
    LEFT = "left"
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
class MeterDelta:
    """What a production meter let in and dropped, of all its traffic, from shortly before to shortly after a time."""

    bridge: BridgeId
    meter_id: int
    packets_in: int
    packets_dropped: int


class LossKind(Enum):
    """How packets were lost.

    BY_FLOW: a flow, or a miss, dropped them. BY_METER: a meter did. IN_VFD: they came in, and nothing sent or dropped
    them. ON_WIRE: they were sent, and did not arrive. BEHIND_FLOWS: between the flows that sent them and the next VFD,
    in the VFD itself (a meter that others share, an output that Open vSwitch suppresses) or on the wire.
    """

    BY_FLOW = "by-flow"
    BY_METER = "by-meter"
    IN_VFD = "in-vfd"
    ON_WIRE = "on-wire"
    BEHIND_FLOWS = "behind-flows"


@dataclass(frozen=True, slots=True)
class Loss:
    """Packets lost at one place within one interval."""

    kind: LossKind
    code: CauseCode
    culprit: Culprit
    packets: int


@dataclass(frozen=True, slots=True)
class VfdCount:
    """The packets of one interval in one VFD: that came in, went out toward a VFD, a VM or others, and were dropped."""

    bridge: BridgeId
    came: int
    sent: int
    left: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Interval:
    """The packets colored between two moments (Unix seconds), followed to their end.

    ``unknown`` says why nothing is concluded; None when the interval closed cleanly. ``entered`` packets were colored.
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


class CountOutcome(Enum):
    """What counting found: no loss in any interval, loss, no traffic at all, or too little that can be relied on."""

    LOSSLESS = "lossless"
    LOSS = "loss"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CountReport:
    """Everything a counting task found out. ``interval`` is the length asked for, in seconds.

    ``other_dscp`` packets had a DSCP that is not counted.
    """

    task_id: int
    interval: int
    intervals: tuple[Interval, ...] = ()
    other_dscp: int = 0
    notes: tuple[str, ...] = ()

    @property
    def closed(self) -> tuple[Interval, ...]:
        """The intervals that something can be concluded from."""
        return tuple(interval for interval in self.intervals if interval.unknown is None)

    @property
    def entered(self) -> int:
        """The packets counted in them."""
        return sum(interval.entered for interval in self.closed)

    @property
    def lost(self) -> int:
        """Those of them that were lost."""
        return sum(interval.lost for interval in self.closed)

    @property
    def outcome(self) -> CountOutcome:
        """Loss once is loss; no loss is only said when every interval with traffic closed."""
        if self.lost:
            return CountOutcome.LOSS
        if any(interval.unknown is not None for interval in self.intervals) or not self.intervals:
            return CountOutcome.UNKNOWN
        return CountOutcome.LOSSLESS if self.entered else CountOutcome.UNSEEN

    def by_place(self) -> tuple[tuple[Loss, tuple[Interval, ...]], ...]:
        """Each place that lost packets, with all it lost, and the intervals it lost them in; the worst first."""
        found: dict[tuple[LossKind, CauseCode, Culprit], list[tuple[Interval, int]]] = {}
        for interval in self.closed:
            for loss in interval.losses:
                found.setdefault((loss.kind, loss.code, loss.culprit), []).append((interval, loss.packets))
        summed = (
            (Loss(*place, sum(lost for _, lost in moments)), tuple(interval for interval, _ in moments))
            for place, moments in found.items()
        )
        return tuple(sorted(summed, key=lambda entry: -entry[0].packets))
