"""Turns the packet-in records of all VFDs into one observed Trajectory per packet (design D4, D5)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter

from vtrace_ovs.model.construction import builder
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.trajectories.hops import Way, hops_of, ways_of
from vtrace_ovs.trajectories.links import Levels, link
from vtrace_ovs.trajectories.visits import Visit, arrived, settle, settle_aside

_IN = Loc.IN  # looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every record
_ASIDE = RecordMsg.ASIDE.value
_OBSERVED = Origin.OBSERVED
_built = builder(Trajectory)
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
        found = [one for group in packets.values() for one in self._join(group.values())]
        if len(packets) > 1:
            found.sort(key=_first_seen)
        return tuple(found)

    def _join(self, group: Iterable[PacketInRecord]) -> list[Trajectory]:
        """The trajectories of all packets of one task and packet_id."""
        places = self.places
        levels: Levels = defaultdict(list)
        endings: defaultdict[int, list[PacketInRecord]] = defaultdict(list)
        asides: list[PacketInRecord] = []
        for record in sorted(group, key=_ORDER):
            if record.loc is _IN:
                levels[record.dscp_mark].append(arrived(record, places))
            elif record.msg == _ASIDE:
                asides.append(record)
            else:
                endings[record.dscp_mark].append(record)
        for mark, departures in endings.items():
            settle(levels[mark], departures, places)
        for record in asides:
            settle_aside(levels[record.dscp_mark], record, places)
        return [_trajectory(root, occurrence, places) for occurrence, root in enumerate(link(levels, places))]


def _trajectory(root: Visit, occurrence: int, places: Places) -> Trajectory:
    ways = ways_of(root, places)
    hops = hops_of(ways)
    records, ambiguous = _gather(ways)
    deciding = records if len(ways) == 1 else _gather(ways[-1:])[0]
    times = [record.timestamp for record in records]
    first = root.first_record()
    return _built(
        task_id=first.task_id,
        packet_id=first.packet_id,
        occurrence=occurrence,
        origin=_OBSERVED,
        five_tuple=first.five_tuple,
        hops=hops,
        ending=hops[-1].ending or Ending.UNKNOWN,
        ambiguous=ambiguous,
        nat_key=_translated(deciding),
        first_seen=min(times),
        last_seen=max(times),
    )


def _gather(ways: Iterable[Way]) -> tuple[list[PacketInRecord], bool]:
    """The records along ways, in the order of each, and whether it is uncertain of any visit whose it is."""
    records: list[PacketInRecord] = []
    ambiguous = False
    for way in ways:
        for visit, branch in way:
            if visit.ambiguous:
                ambiguous = True
            if visit.arrival is not None:
                records.append(visit.arrival)
            if branch.record is not None:
                records.append(branch.record)
    return records, ambiguous


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


def _translated(records: Sequence[PacketInRecord]) -> FiveTuple | None:
    """The five-tuple at the end of a way, if it is not the one at its beginning."""
    first, last = _known(records), _known(reversed(records))
    return last if last is not first and last != first else None


def _known(records: Iterable[PacketInRecord]) -> FiveTuple | None:
    """The first five-tuple that could be read."""
    for record in records:
        if record.headers.five_tuple is not None:
            return record.headers.five_tuple
    return None


def _first_seen(trajectory: Trajectory) -> float:
    return trajectory.first_seen or 0.0
