"""Turns the packet-in records of all VFDs into one observed Trajectory per packet (design D4, D5)."""

from collections.abc import Sequence
from operator import attrgetter

from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.trajectories.hops import hops_of
from vtrace_ovs.trajectories.links import Levels, link
from vtrace_ovs.trajectories.visits import Visit, arrived, settle, settle_asides

_IN = Loc.IN  # looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every record
_ASIDE = RecordMsg.ASIDE
_ORDER = attrgetter("timestamp", "sequence")
FINAL_ENDINGS = frozenset({Ending.HANDED_TO_PORT, Ending.EXITED, Ending.DROPPED})


class Stitcher:
    """Joins records against one topology. Build it once; it keeps nothing between calls."""

    def __init__(self, topology: Topology) -> None:
        self.places = Places(topology)

    def stitch(self, records: Sequence[PacketInRecord]) -> tuple[Trajectory, ...]:
        """One Trajectory per packet, in the order the packets were first seen.

        Records may come in any order and more than once. Those of one task and packet_id are joined by hop index
        and by tunnel endpoints and VNI or patch ports, then by time; arrival order across VFDs means nothing.
        """
        packets: dict[tuple[int, str], dict[int, PacketInRecord]] = {}
        task_id, name, of_packet = None, None, {}
        for record in records:
            if record.packet_id != name or record.task_id != task_id:  # records of one packet mostly come together
                task_id, name = record.task_id, record.packet_id
                of_packet = packets.setdefault((task_id, name), {})
            known = of_packet.setdefault(record.sequence, record)
            if known is not record and known != record:
                of_packet[-len(of_packet) - 1] = record  # a sequence number used twice: keep both
        found = [one for (task_id, name), group in packets.items() for one in self._join(task_id, name, group)]
        if len(packets) > 1:
            found.sort(key=_first_seen)
        return tuple(found)

    def _join(self, task_id: int, packet_id: str, group: dict[int, PacketInRecord]) -> list[Trajectory]:
        places = self.places
        levels: Levels = {}
        endings: dict[int, list[PacketInRecord]] = {}
        asides: dict[int, list[PacketInRecord]] = {}
        for record in sorted(group.values(), key=_ORDER):
            if record.loc is _IN:
                levels.setdefault(record.dscp_mark, []).append(arrived(record, places))
            elif record.msg == _ASIDE:
                asides.setdefault(record.dscp_mark, []).append(record)
            else:
                endings.setdefault(record.dscp_mark, []).append(record)
        for mark, departures in endings.items():
            settle(levels.setdefault(mark, []), departures, self.places)
        for mark, dead_ends in asides.items():
            settle_asides(levels.setdefault(mark, []), dead_ends, self.places)
        return [
            self._trajectory(task_id, packet_id, occurrence, root)
            for occurrence, root in enumerate(link(levels, self.places))
        ]

    def _trajectory(self, task_id: int, packet_id: str, occurrence: int, root: Visit) -> Trajectory:
        records: list[PacketInRecord] = []
        ambiguous = _gather(root, records)
        hops = hops_of(root, self.places)
        times = [record.timestamp for record in records]
        return Trajectory(
            task_id=task_id,
            packet_id=packet_id,
            occurrence=occurrence,
            origin=Origin.OBSERVED,
            five_tuple=records[0].five_tuple,
            hops=hops,
            ending=hops[-1].ending or Ending.UNKNOWN,
            ambiguous=ambiguous,
            nat_key=_translated(hops),
            first_seen=min(times),
            last_seen=max(times),
        )


def stitch(records: Sequence[PacketInRecord], topology: Topology) -> tuple[Trajectory, ...]:
    """One Trajectory per packet; see ``Stitcher`` for many calls against one topology."""
    return Stitcher(topology).stitch(records)


def complete(trajectory: Trajectory) -> bool:
    """Whether no further record of this packet is to be expected, so that nobody needs to wait (design D6).

    True when every branch ends in a final record and no record in between is missing.
    """
    hops = trajectory.hops
    if not hops or hops[0].dscp_mark != 1:
        return False
    return all(_whole(hop, hops) for hop in hops)


def _whole(hop: Hop, hops: tuple[Hop, ...]) -> bool:
    if Loc.IN not in hop.seen or hop.aside:
        return False
    if hop.ending is None and Loc.OUT not in hop.seen:
        return False
    if hop.ending is not None and hop.ending not in FINAL_ENDINGS:
        return False
    return hop.parent is None or hops[hop.parent].dscp_mark == hop.dscp_mark - 1


def _gather(visit: Visit, records: list[PacketInRecord]) -> bool:
    """Collect the records below a visit, its own first; returns whether any of it is ambiguous."""
    ambiguous = False
    visits = [visit]
    while visits:
        visit = visits.pop()
        ambiguous |= visit.ambiguous
        if visit.arrival is not None:
            records.append(visit.arrival)
        for branch in visit.branches:
            if branch.record is not None:
                records.append(branch.record)
            visits += branch.children
    return ambiguous


def _translated(hops: Sequence[Hop]) -> FiveTuple | None:
    """The five-tuple at the end of the branch that counts most, if it is not the one at its beginning."""
    first: FiveTuple | None = None
    last: FiveTuple | None = None
    at: int | None = len(hops) - 1
    while at is not None:
        hop = hops[at]
        for headers in (hop.headers_out, hop.headers_in):
            if headers is not None and headers.five_tuple is not None:
                first = headers.five_tuple
                last = last or first
        at = hop.parent
    return last if last is not first and last != first else None


def _first_seen(trajectory: Trajectory) -> float:
    return trajectory.first_seen or 0.0
