"""What a trace costs the servers it runs on: readings of each ovs-vswitchd, and what lies between them."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from vtrace_ovs.model.tunnel_reach import TunnelReach

Number = TypeVar("Number", int, float)


class Moment(Enum):
    """When a server is read: before anything of ours is there, as coloring ends, and when all of ours is gone."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class FullZone:
    """A connection tracking zone that holds as many connections as it may: it commits no more."""

    zone: int
    limit: int
    connections: int


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One ovs-vswitchd at one moment (Unix seconds); what it could not be asked is None.

    ``megaflows`` and ``masks`` are there at that moment, over all its datapaths. ``upcalls`` (packets no megaflow
    matched), ``cpu_seconds`` (of all its threads) and ``copies_dropped`` (packet-ins that found the queue to some
    controller full) count since it started. ``full_zones`` are those at that moment, of the zones with a limit; None
    where that was not asked. ``reach`` is where its tunnels led; None where others than ovs-vswitchd know that.
    """

    at: float
    megaflows: int | None = None
    masks: int | None = None
    upcalls: int | None = None
    cpu_seconds: float | None = None
    copies_dropped: int | None = None
    full_zones: tuple[FullZone, ...] | None = None
    reach: TunnelReach | None = None


@dataclass(frozen=True, slots=True)
class ServerCost:
    """One server during one trace. ``copies`` are the packet-ins it sent us.

    What its other traffic did meanwhile is in the readings too; the differences say no more than that.
    """

    node: str
    copies: int = 0
    before: ServerReading | None = None
    during: ServerReading | None = None
    after: ServerReading | None = None

    @property
    def megaflows(self) -> int | None:
        """How many megaflows there were more while traced; may be negative."""
        return _change(self._before.megaflows, self._during.megaflows)

    @property
    def masks(self) -> int | None:
        """How many megaflow masks there were more while traced; may be negative."""
        return _change(self._before.masks, self._during.masks)

    @property
    def upcalls(self) -> int | None:
        """Packets that missed every megaflow while traced; None after a restart."""
        return _count(self._before.upcalls, self._during.upcalls)

    @property
    def copies_dropped(self) -> int | None:
        """Packet-ins dropped in its queues since before the trace, by the newest reading; None after a restart."""
        newest = self.after or self.during or UNREAD
        return _count(self._before.copies_dropped, newest.copies_dropped)

    @property
    def cpu_share(self) -> float | None:
        """Processor time of ovs-vswitchd while traced, as a share of one core's; None after a restart."""
        spent = _count(self._before.cpu_seconds, self._during.cpu_seconds)
        passed = self._during.at - self._before.at
        return None if spent is None or passed <= 0 else spent / passed

    @property
    def _before(self) -> ServerReading:
        return self.before or UNREAD

    @property
    def _during(self) -> ServerReading:
        return self.during or UNREAD


UNREAD = ServerReading(0.0)


def _change(before: int | None, during: int | None) -> int | None:
    return None if before is None or during is None else during - before


def _count(before: Number | None, during: Number | None) -> Number | None:
    return None if before is None or during is None or during < before else during - before
