"""Turns readings of bridges into the tables and counts each task is judged by, and into samples and snapshots kept."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vtrace_ovs.instrumentation.cookies import GENERATION_SHIFT, is_ours
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.session.bridges import BridgeState, Fleet, same_tables
from vtrace_ovs.session.commands import Command, SaveSamples, SaveSnapshot
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import BridgeRead
from vtrace_ovs.session.faults import confined
from vtrace_ovs.session.judging import counted_by, samples_of
from vtrace_ovs.session.outcomes import Outcomes
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.session.wiping import Wiping
from vtrace_ovs.walker.network import Network

Indexed = tuple[Topology, Mapping[BridgeId, BridgeTables], Network]


class Readings:
    """What bridges were found to have. It never programs one; where a reading makes verdicts doubtful it says so."""

    def __init__(self, fleet: Fleet, deployment: Deployment, outcomes: Outcomes, wiping: Wiping) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._outcomes = outcomes
        self._wiping = wiping
        self._indexed: Indexed = (fleet.topology, {}, Network.build(fleet.topology, {}))

    def armed(self, run: TaskRun) -> tuple[Command, ...]:
        """Fix what the task is judged by: its VFDs as they are now. Called again, it adds those armed since."""
        run.fleet_version = self._fleet.version
        states = [state for b in sorted(run.scope) if (state := self._fleet.states.get(b)) and b not in run.armed_on]
        armed = {state.bridge.id: state.carried_since if run.armed_on else 0.0 for state in states if state.carried}
        known = {state.bridge.id: state for state in states if state.tables and state.bridge.id not in run.judged_by}
        if not armed and not known:
            return ()
        tables = {bridge: state.tables for bridge, state in known.items() if state.tables is not None}
        run.armed_on, run.scene = {**run.armed_on, **armed}, None
        run.judged_by = {**run.judged_by, **tables}
        run.network = self._network(run.judged_by)
        run.meters_before = {**run.meters_before, **{bridge: dict(state.meters) for bridge, state in known.items()}}
        run.counts_before = {**run.counts_before, **{bridge: state.counts for bridge, state in known.items()}}
        return tuple(SaveSnapshot(run.task.id, bridge, read) for bridge, read in tables.items())

    def bridge_read(self, event: BridgeRead, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """Take over a reading: production tables, meters, and the counters of our own flows."""
        state = self._fleet.states.get(event.bridge)
        if state is None:
            return ()
        ours = tuple(flow for flow in event.tables.flows if is_ours(flow.cookie))
        theirs = tuple(flow for flow in event.tables.flows if not is_ours(flow.cookie))
        state.stranger = any(
            flow.cookie >> GENERATION_SHIFT & 0xFF != self._deployment.planning.settings.generation for flow in ours
        )
        plans = self._deployment.plans_on(event.bridge)
        private = frozenset(meter.meter_id for plan in plans for meter in plan.meters)
        meters = tuple(entry for entry in event.tables.meters if entry.meter_id not in private)
        peeked = state.peeked_at > max(state.asked_at, state.read_at)
        last_read_at, losses = state.read_at, state.losses
        tables = replace(event.tables, flows=theirs, meters=meters)
        removed = state.adopt(tables, event.meters, event.ports, event.at)
        self._fleet.version += 1
        judged = [run for run in runs if run.judged]
        self._wiping.look(state, judged, ours, removed)
        commands: list[Command] = [*self._fleet.ask_now(event.at)]
        counted = counted_by(event, ours) if judged and not peeked else ()
        for run in judged:
            with confined(run):
                if not peeked:
                    commands.append(SaveSamples(samples_of(run, event, counted)))
                followed = self._follow(run, state, last_read_at)
                commands.extend(followed)
                if followed or losses != state.losses:
                    self._outcomes.reconsider(run)
        return tuple(commands)

    def _follow(self, run: TaskRun, state: BridgeState, last_read_at: float) -> tuple[Command, ...]:
        """Judge later packets by the new tables, and clone from them, when production changed them meanwhile."""
        before, now = run.judged_by.get(state.bridge.id), state.tables
        if now is None or before is None or same_tables(before, now):
            return ()
        run.journal.changed(state.bridge.id, before, now, last_read_at)
        run.judged_by = {**run.judged_by, state.bridge.id: now}
        run.network = self._network(run.judged_by)
        run.note(f"the flow tables of {state.bridge.id} changed while the trace ran")
        self._deployment.stale |= run.gathering
        return (SaveSnapshot(run.task.id, state.bridge.id, now),)

    def _network(self, tables: Mapping[BridgeId, BridgeTables]) -> Network:
        """The network with these tables; one for all tasks judged by the same, as its indexes are made on demand."""
        topology, known, network = self._indexed
        same = topology is self._fleet.topology and known.keys() == tables.keys()
        if not (same and all(known[bridge] is tables[bridge] for bridge in tables)):
            network = Network.build(self._fleet.topology, tables, before=network)
            self._indexed = self._fleet.topology, tables, network
        return network
