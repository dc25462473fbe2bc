"""Turns what one bridge did with a packet into hops: one for each output, or one that says what stopped the packet."""

from dataclasses import replace
from typing import NamedTuple

from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, NearMiss, Step
from vtrace_ovs.walker import frame
from vtrace_ovs.walker.near_miss import near_misses
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.visit import Emission, Stop, Visit

_FAILED_OUTPUT = frozenset({DropShape.PORT_DOWN, DropShape.PORT_GONE})
_STRENGTH = (
    DropShape.RECURSION_LIMIT,
    DropShape.RESUBMIT_LIMIT,
    DropShape.TTL_EXCEEDED,
    DropShape.PORT_DOWN,
    DropShape.PORT_GONE,
    DropShape.OUTPUT_TO_INGRESS,
    DropShape.NO_LIVE_BUCKET,
)
_EXPLAINED = frozenset({DropShape.NO_MATCH, DropShape.TABLE_MISS_FLOW, DropShape.EXPLICIT_DROP, DropShape.NO_OUTPUT})


class Arrival(NamedTuple):
    """A packet as it enters a bridge. ``packed`` is its packed form in table 0."""

    bridge: BridgeId
    view: BridgeView
    dscp_mark: int
    in_port: int
    tunnel: Tunnel | None
    headers: Headers
    packed: int


def stopping(visit: Visit) -> tuple[Stop, ...]:
    """The stops that end a branch of the packet's way.

    What the walker cannot decide always does; beside other outputs an output to a missing or dead port does too; and
    where nothing was output at all, the strongest stop is the reason.
    """
    if not visit.stops:
        return ()
    undecided = tuple(stop for stop in visit.stops if stop.undecided)
    if visit.emissions:
        return (*undecided, *(stop for stop in visit.stops if stop.shape in _FAILED_OUTPUT))
    if undecided:
        return undecided
    return (max(visit.stops, key=_strength),)


def _strength(stop: Stop) -> tuple[int, int]:
    """Limits, TTL and failed outputs say why by themselves; otherwise the last search decides."""
    rank = next((at for at, shape in enumerate(_STRENGTH) if shape is stop.shape), len(_STRENGTH))
    return -rank, stop.step


def output_hop(
    arrival: Arrival, emission: Emission, left_by: Tunnel | None = None, ending: Ending | None = None
) -> Hop:
    """The hop of a packet that left by a port; ``ending`` is set when that was the end of its way."""
    return Hop(
        bridge=arrival.bridge,
        dscp_mark=arrival.dscp_mark,
        in_port=arrival.in_port,
        out_port=emission.port,
        arrived_by=arrival.tunnel,
        left_by=left_by,
        headers_in=arrival.headers,
        headers_out=_cut(_headers(arrival, emission.state), emission.max_len),
        changes=frame.changes(arrival.packed, emission.state.packed),
        steps=tuple([lookup.step for lookup in emission.found]),
        meters=emission.meters,
        ending=ending,
        deciding=emission.step,
    )


def stopped_hop(arrival: Arrival, stop: Stop, wanted: int) -> Hop:
    """The hop of a packet that went no further, with up to ``wanted`` near misses at the table that decided."""
    nearest = _nearest(arrival.view, stop, wanted) if stop.shape in _EXPLAINED else ()
    return Hop(
        bridge=arrival.bridge,
        dscp_mark=arrival.dscp_mark,
        in_port=arrival.in_port,
        out_port=stop.port,
        arrived_by=arrival.tunnel,
        headers_in=arrival.headers,
        headers_out=_headers(arrival, stop.state),
        changes=frame.changes(arrival.packed, stop.state.packed),
        steps=_steps(stop, nearest),
        drop=stop.shape,
        unsupported=stop.detail if stop.shape is DropShape.UNSUPPORTED else None,
        meters=stop.meters,
        ending=Ending.UNKNOWN if stop.undecided else Ending.DROPPED,
        deciding=stop.step,
        note=stop.detail if stop.shape is None else stop.note,
    )


def left_with(arrival: Arrival, emission: Emission) -> FiveTuple | None:
    """The five-tuple of a packet as it leaves, as far as it is known."""
    return _headers(arrival, emission.state).five_tuple


def _headers(arrival: Arrival, state: PacketState) -> Headers:
    return frame.headers_of(state.packed, arrival.packed, arrival.headers, state.unknown)


def _cut(headers: Headers, max_len: int) -> Headers:
    return headers if not 0 < max_len < headers.length else replace(headers, length=max_len)


def _nearest(view: BridgeView, stop: Stop, wanted: int) -> tuple[NearMiss, ...]:
    """Without the flows of this table that the packet did match on an earlier pass, as before conntrack."""
    lookup = stop.found[stop.step]
    met = {earlier.step.flow for earlier in stop.found[: stop.step] if earlier.table_id == lookup.table_id}
    index = view.indexes[lookup.table_id]
    nearest = near_misses(index, stop.key, stop.state.unknown, lookup.entry, wanted + len(met) if wanted else 0)
    return tuple(near for near in nearest if not near.differences or near.flow not in met)[:wanted]


def _steps(stop: Stop, nearest: tuple[NearMiss, ...]) -> tuple[Step, ...]:
    steps = [lookup.step for lookup in stop.found]
    if nearest:
        steps[stop.step] = replace(steps[stop.step], near_misses=nearest)
    return tuple(steps)
