"""Turns a task's records into diagnosed packets: stitch, predict on the tables of the moment, diagnose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vtrace_ovs.diagnosis.compare import first_divergence
from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.rules import at_a_change, diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, MeterReading, Scene
from vtrace_ovs.instrumentation.cookies import only_slot
from vtrace_ovs.model.flow import Flow, MeterCounters
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import CounterKind, CounterSample, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.copies import NO_COPIES, since
from vtrace_ovs.session.events import BridgeRead
from vtrace_ovs.session.predicting import Walks
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.walker.network import Network

LATE = "it came up while the trace ran already, so packets may have passed it unseen"


def scene_of(
    fleet: Fleet,
    profiles: Mapping[BridgeId, PipelineProfile],
    meters_before: Mapping[BridgeId, Mapping[int, MeterCounters]],
    copies_before: Mapping[BridgeId, CopyTally],
    *,
    hop_limit: int,
    armed_at: float,
) -> Scene:
    """Everything around the packets that a verdict may rest on, as it is now, for a task armed then."""
    disturbed = {bridge: state.wiped for bridge, state in fleet.states.items() if state.wiped_at > armed_at}
    return Scene(
        topology=fleet.topology,
        profiles=profiles,
        unreachable=fleet.unreachable(),
        unobserved={
            bridge: disturbed.get(bridge, LATE)
            for bridge, state in fleet.states.items()
            if state.up and max(state.up_at, state.wiped_at) > armed_at
        },
        disturbed=disturbed,
        meters=tuple(
            reading
            for bridge, state in fleet.states.items()
            for reading in _production_meters(state, meters_before.get(bridge, {}))
        ),
        unlogged={
            b: frozenset(state.carried.unlogged) for b, state in fleet.states.items() if state.carried is not None
        },
        copies={
            bridge: since(state.copies.tally, copies_before[bridge])
            for bridge, state in fleet.states.items()
            if bridge in copies_before and state.copies.read_at
        },
        uncounted={
            bridge: state.copies.uncounted
            for bridge, state in fleet.states.items()
            if bridge in copies_before and state.copies.uncounted
        },
        copies_capped={
            bridge: capped
            for bridge, state in fleet.states.items()
            if (capped := _copies_capped(state, meters_before.get(bridge, {})))
        },
        hop_limit=hop_limit,
        unsettled={bridge: state.spells for bridge, state in fleet.states.items() if state.spells},
    )


def scene_for(run: TaskRun, fleet: Fleet, profiles: Mapping[BridgeId, PipelineProfile], hop_limit: int) -> Scene:
    """Everything around the packets of a task."""
    before = run.meters_before, {bridge: run.copies_before.get(bridge, NO_COPIES) for bridge in run.armed_on}
    return replace(
        scene_of(fleet, profiles, *before, hop_limit=hop_limit, armed_at=run.armed_at),
        overflowed=run.observation.copies_dropped(),
        full_zones=run.observation.full_zones(),
        reaches=run.observation.reach(),
        watched_since=run.armed_on,
        lives=run.journal.lives,
        crowded=run.crowded,
        postcards=run.searches.cards,
        underlay_down=run.searches.down,
        underlay_passed=run.searches.passed,
        datapaths=run.suspicions.readings,
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


def _copies_capped(state: BridgeState, before: Mapping[int, MeterCounters]) -> int:
    """Copies our own meter has not let through since: evidence that is known to be missing."""
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


def judge(
    observed: Trajectory,
    records: Sequence[PacketInRecord],
    networks: Iterable[Network | None],
    scene: Scene,
    walks: Walks,
) -> DiagnosedPacket:
    """One packet, observed and predicted, with its verdict. ``networks``: by the tables that may have been in force.

    Of several, those count that the packet's own way does not contradict; where these disagree, nothing is certain.
    """
    ways = [None if network is None else walks.predict(network, observed, records) for network in networks]
    found = [DiagnosedPacket(observed, way, diagnose(observed, way, scene)) for way in ways]
    if len(found) == 1:
        return found[0]
    told = [packet for packet in found if packet.predicted and not first_divergence(observed, packet.predicted)]
    told = told or found
    outcomes = {(one.verdict.disposition, one.verdict.code, one.verdict.culprit) for one in told}
    if len(outcomes) == 1:
        return told[0]
    return DiagnosedPacket(observed, None, at_a_change(observed, [one.verdict for one in told], scene))
