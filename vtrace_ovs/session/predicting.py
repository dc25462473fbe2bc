"""Turns the records of one packet into the walk of that packet: what was seen of it decides what the tables do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.walker.guidance import Departure
from vtrace_ovs.walker.network import Network
from vtrace_ovs.walker.walk import DEFAULT_SETTINGS, WalkSettings, WalkStart, walk

Visit = tuple[BridgeId, int]
"""A bridge and the hop index of the walk there."""


def predict(network: Network, observed: Trajectory, records: Sequence[PacketInRecord]) -> Trajectory | None:
    """The walk of the same packet from where it was first seen to come in; None where it never was.

    Hops before that one, of which the ``in`` is missing, are no part of it.
    """
    for hop in observed.hops:
        entry = next((record for record in records if _began(record, hop)), None)
        if entry is not None:
            way = predict_from(network, entry, observed, records)
            return way if hop.dscp_mark == 1 else _counted_from(way, hop.dscp_mark)
    return None


@dataclass(slots=True)
class Walks:
    """What tables say of the packets of one group. What is judged again by the same tables is not walked again.

    By occurrence: the tables, the way seen, the number of records, and the walk.
    """

    _known: dict[int, tuple[Network, Trajectory, int, Trajectory | None]] = field(default_factory=dict)

    def predict(self, network: Network, observed: Trajectory, records: Sequence[PacketInRecord]) -> Trajectory | None:
        """As ``predict``. A way is the same if it is the same object, and records are never taken away."""
        known = self._known.get(observed.occurrence)
        if known is not None and known[0] is network and known[1] is observed and known[2] == len(records):
            return known[3]
        way = predict(network, observed, records)
        self._known[observed.occurrence] = (network, observed, len(records), way)
        return way


def _counted_from(way: Trajectory, mark: int) -> Trajectory:
    """The same way with this hop index for its first hop."""
    return replace(way, hops=tuple(replace(hop, dscp_mark=hop.dscp_mark + mark - 1) for hop in way.hops))


def predict_from(
    network: Network,
    entry: PacketInRecord,
    observed: Trajectory,
    records: Sequence[PacketInRecord],
    settings: WalkSettings = DEFAULT_SETTINGS,
) -> Trajectory:
    """The walk of a packet from one of its ``in`` records, which becomes hop 1."""
    before = entry.dscp_mark - 1
    start = WalkStart(
        task_id=entry.task_id,
        packet_id=entry.packet_id,
        occurrence=observed.occurrence,
        bridge=entry.bridge,
        in_port=entry.in_port,
        headers=entry.headers,
        tunnel=entry.tunnel,
        ct_state=_connection_state(entry, records),
    )
    states = _later_states(records, before)
    if states:
        way = _walk(network, replace(start, ct_states=states), observed, before, settings)
        if all(_as_seen(hop, way, before) for hop in observed.hops if (hop.bridge, hop.dscp_mark - before) in states):
            return way
    return _walk(network, start, observed, before, settings)


def _walk(network: Network, start: WalkStart, observed: Trajectory, before: int, settings: WalkSettings) -> Trajectory:
    """Only what the tables leave open is asked of the trajectory, if it is no twin's: that is rare, and costs."""
    way = walk(network, start, settings)
    if observed.ambiguous or all(hop.ending is not Ending.UNKNOWN for hop in way.hops):
        return way
    return walk(network, replace(start, departures=departures(observed, before)), settings)


def departures(observed: Trajectory, before: int = 0) -> dict[Visit, frozenset[Departure]]:
    """How the packet was seen to leave each bridge, as far as the port is known, ``before`` hops off every index."""
    found: dict[Visit, set[Departure]] = {}
    for at, hop in enumerate(observed.hops):
        if hop.out_port is not None and hop.drop is None and hop.dscp_mark > before:
            left_as = _left_as(hop, (child for child in observed.hops if child.parent == at))
            found.setdefault((hop.bridge, hop.dscp_mark - before), set()).add(Departure(hop.out_port, left_as))
    return {visit: frozenset(seen) for visit, seen in found.items()}


def _left_as(hop: Hop, onward: Iterator[Hop]) -> FiveTuple | None:
    """What it left with, or else what it came to the next bridge with."""
    known = (hop.headers_out, *(child.headers_in for child in onward))
    return next((headers.five_tuple for headers in known if headers is not None), None)


def _began(record: PacketInRecord, first: Hop) -> bool:
    """Whether a packet seen to come in so has this hop; equal packets may come in elsewhere."""
    return (
        record.loc is Loc.IN
        and record.dscp_mark == first.dscp_mark
        and (record.bridge, record.in_port) == (first.bridge, first.in_port)
        and first.headers_in in (None, record.headers)
    )


def _connection_state(entry: PacketInRecord, records: Sequence[PacketInRecord]) -> int:
    """What connection tracking said of the packet in its first VFD: a fresh packet is untracked until it is tracked."""
    here = (r for r in records if (r.bridge, r.dscp_mark) == (entry.bridge, entry.dscp_mark))
    return entry.ct_state or next((r.ct_state for r in here if r.ct_state and r.timestamp >= entry.timestamp), 0)


def _later_states(records: Sequence[PacketInRecord], before: int) -> dict[Visit, int]:
    """What connection tracking said of the packet behind its first VFD, by bridge and hop index, where copies agree."""
    found: dict[Visit, set[int]] = {}
    for record in records:
        if record.ct_state and record.dscp_mark > before + 1:
            found.setdefault((record.bridge, record.dscp_mark - before), set()).add(record.ct_state)
    return {visit: states.pop() for visit, states in found.items() if len(states) == 1}


def _as_seen(hop: Hop, way: Trajectory, before: int) -> bool:
    """Whether a way leaves this visit as the packet did.

    A copy tells the state only in the last zone the packet passed there; in others it may have had another.
    """
    left_as = None if hop.headers_out is None else hop.headers_out.five_tuple
    return any(
        (one.bridge, one.dscp_mark + before, one.out_port) == (hop.bridge, hop.dscp_mark, hop.out_port)
        and (left_as is None or one.headers_out is None or one.headers_out.five_tuple == left_as)
        for one in way.hops
    )
