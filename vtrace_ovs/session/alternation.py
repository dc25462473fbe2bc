"""The nouns of counting by two colors: what is waited for, readings, and the intervals of a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from vtrace_ovs.model.counting import CountKind, Counts, Interval
from vtrace_ovs.model.flow import MeterCounters
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.events import CountersRead

FIRST_BATCH = -2
"""Batches of ours count down from here: a deployment's count up from 1, and -1 is a touch."""


class Step(Enum):
    """What is waited for: time to pass, bridges to have turned, packets to drain, datapaths to settle, counters."""

    COLORING = "coloring"
    TURNING = "turning"
    DRAINING = "draining"
    SETTLING = "settling"
    READING = "reading"


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    counts: Counts
    meters: Mapping[tuple[BridgeId, int], MeterCounters]

    def of_color(self, color: int) -> Counts:
        """Only the places that count this color."""
        return {place: packets for place, packets in self.counts.items() if place.color == color}

    @property
    def of_other_dscp(self) -> int:
        """How many packets had a DSCP that is not counted; none is told any more when sources are out."""
        return sum(packets for place, packets in self.counts.items() if place.kind is CountKind.OTHER_DSCP)

    def came(self, bridge: BridgeId) -> int:
        """How many packets of either color have come into a VFD, exactly."""
        return sum(n for place, n in self.counts.items() if (place.kind, place.bridge) == (CountKind.CAME, bridge))

    def through(self, bridge: BridgeId, meter_id: int) -> int:
        """How many packets of either color passed flows with this meter, as far as flows have been told by now."""
        metered = (CountKind.METERED, bridge, meter_id)
        return sum(n for place, n in self.counts.items() if (place.kind, place.bridge, place.meter_id) == metered)


@dataclass(slots=True)
class Open:
    """An interval whose packets may still be on their way. ``read`` is the reading after the color changed.

    One that is not ``kept`` is the first, which begins before all counters were read, or the last, of which only the
    beginning is waited for.
    """

    color: int
    began_at: float
    ended_at: float = 0.0
    read: Reading | None = None
    readings: int = 0
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Closed:
    """An interval as it was closed at ``at``; tables that turn out to have changed before then still spoil it."""

    interval: Interval
    at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """From when to when (Unix seconds; infinity: still) something was wrong, so that counters prove nothing."""

    since: float
    until: float
    why: str


@dataclass(slots=True)
class Alternation:
    """The counting of one task. ``interval`` is in seconds.

    ``current`` is the interval whose color packets get, ``idle`` the one before it until it is closed. ``bases`` hold
    the counters of each color as its last interval left them, ``turns`` all counters after each of the last changes of
    color. ``members`` are the bridges that count, ``gone`` those that did. ``ending``: coloring may end now.
    ``audited`` closed intervals are judged by what datapaths told, or need not be; datapaths were asked about those up
    to ``asked_until``, and may be asked again at ``ask_at``.
    """

    task_id: int
    interval: float
    step: Step = Step.COLORING
    waiting: set[BridgeId] = field(default_factory=set)
    asked_at: float = 0.0
    resume_at: float = 0.0
    ending: bool = False
    batch: int = FIRST_BATCH
    current: Open = field(default_factory=lambda: Open(0, 0.0, kept=False))
    idle: Open | None = None
    closed: list[Closed] = field(default_factory=list)
    bases: dict[int, Counts] = field(default_factory=dict)
    turns: list[Reading] = field(default_factory=list)
    audited: int = 0
    asked_until: int = 0
    ask_at: float = 0.0
    gathered: dict[BridgeId, CountersRead] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    members: set[BridgeId] = field(default_factory=set)
    gone: dict[BridgeId, Trouble] = field(default_factory=dict)
