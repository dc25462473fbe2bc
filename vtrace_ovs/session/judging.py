"""Turns a task's records into diagnosed packets: stitch, predict on the tables of the moment, diagnose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import MeterReading, Scene
from vtrace_ovs.instrumentation.cookies import only_slot
from vtrace_ovs.model.flow import Flow, MeterCounters
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import CounterKind, CounterSample, Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop, Trajectory
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.events import BridgeRead
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.walker.network import Network
from vtrace_ovs.walker.walk import WalkStart, walk

LATE = "it came up while the trace ran already, so packets may have passed it unseen"


def scene_of(
    fleet: Fleet,
    profiles: Mapping[BridgeId, PipelineProfile],
    meters_before: Mapping[BridgeId, Mapping[int, MeterCounters]],
    hop_limit: int,
    armed_at: float,
) -> Scene:
    """Everything around the packets that a verdict may rest on, as it is now, for a task armed then."""
    return Scene(
        topology=fleet.topology,
        profiles=profiles,
        unreachable=fleet.unreachable(),
        unobserved={
            bridge: state.wiped if state.wiped_at > armed_at else LATE
            for bridge, state in fleet.states.items()
            if state.up and max(state.up_at, state.wiped_at) > armed_at
        },
        meters=tuple(
            reading
            for bridge, state in fleet.states.items()
            for reading in _production_meters(state, meters_before.get(bridge, {}))
        ),
        unlogged={
            b: frozenset(state.carried.unlogged) for b, state in fleet.states.items() if state.carried is not None
        },
        copies_lost={
            bridge: lost
            for bridge, state in fleet.states.items()
            if (lost := _copies_dropped(state, meters_before.get(bridge, {})))
        },
        hop_limit=hop_limit,
        unsettled={bridge: state.spells for bridge, state in fleet.states.items() if state.spells},
    )


def _production_meters(state: BridgeState, before: Mapping[int, MeterCounters]) -> Iterable[MeterReading]:
    ours = _our_meters(state)
    for entry in state.tables.meters if state.tables is not None else ():
        now, then = state.meters.get(entry.meter_id), before.get(entry.meter_id)
        if now is not None and then is not None and entry.meter_id not in ours:
            passed, dropped = _counted(now, then)
            yield MeterReading(state.bridge.id, entry, passed, dropped)


def _counted(now: MeterCounters, then: MeterCounters | None) -> tuple[int, int]:
    """What a meter let in and dropped since then (packets). A meter that was changed counts from zero again."""
    if then is None or now.packets_in < then.packets_in:
        return now.packets_in, now.packets_dropped
    return now.packets_in - then.packets_in, max(0, now.packets_dropped - then.packets_dropped)


def _our_meters(state: BridgeState) -> frozenset[int]:
    """The meter that caps the copies of traced packets; the one for packets that are nobody's is no evidence."""
    return frozenset() if state.carried is None else frozenset({state.carried.meter_ids.traced})


def _copies_dropped(state: BridgeState, before: Mapping[int, MeterCounters]) -> int:
    """Copies our own meter has capped since: evidence that is known to be lost."""
    ours = _our_meters(state)
    return sum(_counted(now, before.get(meter))[1] for meter, now in state.meters.items() if meter in ours)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one of our flows or one meter has counted; ``slot`` is the only task's it says anything about, if so."""

    kind: CounterKind
    subject: str
    packets: int
    dropped: int = 0
    slot: int | None = None


def counted_by(event: BridgeRead, ours: Iterable[Flow]) -> tuple[Counted, ...]:
    """The counters of our own flows and of all meters of a bridge."""
    flows = (
        Counted(CounterKind.FLOW, flow_text(flow.key, flow.cookie), flow.n_packets, slot=only_slot(flow.cookie))
        for flow in ours
    )
    meters = (
        Counted(CounterKind.METER, f"meter {counters.meter_id}", counters.packets_in, counters.packets_dropped)
        for counters in event.meters
    )
    return (*flows, *meters)


def samples_of(run: TaskRun, event: BridgeRead, counted: Iterable[Counted]) -> tuple[CounterSample, ...]:
    """What of a bridge's counters tells of one task, as samples to keep: its own flows', and shared ones that count."""
    return tuple(
        CounterSample(run.task.id, event.bridge, one.kind, one.subject, one.packets, one.dropped, event.at)
        for one in counted
        if one.slot == run.slot or (one.slot is None and (one.packets or one.kind is not CounterKind.FLOW))
    )


def predict(network: Network, observed: Trajectory, records: Sequence[PacketInRecord]) -> Trajectory | None:
    """The walk of the same packet from where it was first seen; None when its first ``in`` was not."""
    first = observed.hops[0] if observed.hops else None
    entry = None if first is None else next((r for r in records if _began(r, first)), None)
    if entry is None:
        return None
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
    states = _later_states(records)
    if states:
        way = walk(network, replace(start, ct_states=states))
        if all(_as_seen(hop, way) for hop in observed.hops if (hop.bridge, hop.dscp_mark) in states):
            return way
    return walk(network, start)


def _began(record: PacketInRecord, first: Hop) -> bool:
    """Whether a packet seen to come in so has this first hop; equal packets may come in elsewhere."""
    return (
        record.loc is Loc.IN
        and record.dscp_mark == 1
        and (record.bridge, record.in_port) == (first.bridge, first.in_port)
        and first.headers_in in (None, record.headers)
    )


def _connection_state(entry: PacketInRecord, records: Sequence[PacketInRecord]) -> int:
    """What connection tracking said of the packet in its first VFD: a fresh packet is untracked until it is tracked."""
    here = (r for r in records if (r.bridge, r.dscp_mark) == (entry.bridge, entry.dscp_mark))
    return entry.ct_state or next((r.ct_state for r in here if r.ct_state and r.timestamp >= entry.timestamp), 0)


def _later_states(records: Sequence[PacketInRecord]) -> dict[tuple[BridgeId, int], int]:
    """What connection tracking said of the packet behind its first VFD, by bridge and hop index, where copies agree."""
    found: dict[tuple[BridgeId, int], set[int]] = {}
    for record in records:
        if record.ct_state and record.dscp_mark > 1:
            found.setdefault((record.bridge, record.dscp_mark), set()).add(record.ct_state)
    return {visit: states.pop() for visit, states in found.items() if len(states) == 1}


def _as_seen(hop: Hop, way: Trajectory) -> bool:
    """Whether a way leaves this visit as the packet did.

    A copy tells the state only in the last zone the packet passed there; in others it may have had another.
    """
    left_as = None if hop.headers_out is None else hop.headers_out.five_tuple
    return any(
        (one.bridge, one.dscp_mark, one.out_port) == (hop.bridge, hop.dscp_mark, hop.out_port)
        and (left_as is None or one.headers_out is None or one.headers_out.five_tuple == left_as)
        for one in way.hops
    )


def judge(
    observed: Trajectory, records: Sequence[PacketInRecord], network: Network | None, scene: Scene
) -> DiagnosedPacket:
    """One packet, observed and predicted, with its verdict."""
    predicted = None if network is None else predict(network, observed, records)
    return DiagnosedPacket(observed, predicted, diagnose(observed, predicted, scene))
