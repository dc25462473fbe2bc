"""Turns copies and readings into records, decisions and results of every running task."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from vtrace_ovs.diagnosis.conclusion import conclude
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.instrumentation.cookies import GENERATION_SHIFT, is_ours
from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.probes import APART
from vtrace_ovs.instrumentation.reading import read_log
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowKey
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.bridge_counts import counted_since, culprits_of
from vtrace_ovs.session.bridges import BridgeState, Fleet, same_tables
from vtrace_ovs.session.code_points import make_room_for
from vtrace_ovs.session.collecting import PacketGroup, of_task, record_of
from vtrace_ovs.session.commands import (
    Command,
    SaveRecords,
    SaveResult,
    SaveSamples,
    SaveSnapshot,
    SaveTrajectories,
)
from vtrace_ovs.session.datagrams import needs_joining
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import BridgeRead, FlowsNamed, PacketInReceived
from vtrace_ovs.session.faults import confined, unjudged
from vtrace_ovs.session.judging import counted_by, judge, samples_of, scene_for
from vtrace_ovs.session.listening import hear, listeners, widen
from vtrace_ovs.session.naming import Naming
from vtrace_ovs.session.notes import notes_of
from vtrace_ovs.session.overlaps import enters, enters_for, own_ways
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.wiping import kept, loss
from vtrace_ovs.trajectories.stitch import Stitcher, complete
from vtrace_ovs.walker.network import Network

EVIDENCE_STAGES = frozenset({Stage.ARMING, Stage.COLLECTING, Stage.CLOSING, Stage.DRAINING})
JUDGED_STAGES = EVIDENCE_STAGES - {Stage.ARMING}

MANY_RECORDS = 64
LOOK_INTERVAL, LONGEST_INTERVAL = 0.05, 0.5
"""So many records of packets that look the same are joined anew at most this often (seconds), not at every copy.

Of more records less often, in proportion."""


Indexed = tuple[Topology, Mapping[BridgeId, BridgeTables], Network]


class Collection:
    """The evidence of all tasks. It never programs a bridge; it only asks for readings."""

    def __init__(
        self,
        fleet: Fleet,
        deployment: Deployment,
        settings: SessionSettings,
        profile_named: Callable[[str | None], PipelineProfile],
    ) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._settings = settings
        self._profile_named = profile_named
        self._stitcher = Stitcher(fleet.topology)
        self.naming = Naming(settings.naming_deadline)
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
            flow.cookie >> GENERATION_SHIFT & 0xFF != self._deployment.settings.generation for flow in ours
        )
        plans = self._deployment.plans_on(event.bridge)
        private = frozenset(meter.meter_id for plan in plans for meter in plan.meters)
        meters = tuple(entry for entry in event.tables.meters if entry.meter_id not in private)
        peeked = state.peeked_at > max(state.asked_at, state.read_at)
        last_read_at, losses = state.read_at, state.losses
        tables = replace(event.tables, flows=theirs, meters=meters)
        removed = state.adopt(tables, event.meters, event.ports, event.at)
        self._fleet.version += 1
        judged = [run for run in runs if run.stage in JUDGED_STAGES]
        self._look_for_wiping(state, judged, ours, removed)
        commands: list[Command] = [*self._fleet.ask((event.bridge,), event.at)] if state.ask_again else []
        counted = counted_by(event, ours) if judged and not peeked else ()
        for run in judged:
            with confined(run):
                if not peeked:
                    commands.append(SaveSamples(samples_of(run, event, counted)))
                followed = self._follow(run, state, last_read_at)
                commands.extend(followed)
                if followed or losses != state.losses:
                    self.reconsider(run)
        return tuple(commands)

    def _look_for_wiping(
        self, state: BridgeState, runs: Iterable[TaskRun], ours: tuple[Flow, ...], removed: frozenset[FlowKey]
    ) -> None:
        """Invalidate the tasks whose flows somebody took out, and count on nothing that may be left of them."""
        if state.carried is None:
            return
        at = state.read_at
        coloring = frozenset(run.slot for run in runs if run.coloring and at < run.promised_until)
        coming = self._deployment.plan_coming_to(state.bridge.id)
        found = loss(kept(state.carried, coming, coloring, at), ours, removed)
        if found is None:
            return
        state.wiped, state.wiped_at = found, at
        for run in runs:
            if state.bridge.id in run.scope:
                run.invalidate(f"{state.bridge.id}: {found}")
        if self._deployment.idle:
            state.forsake()

    def _follow(self, run: TaskRun, state: BridgeState, last_read_at: float) -> tuple[Command, ...]:
        """Judge later packets by the new tables, and clone from them, when production changed them meanwhile."""
        before, now = run.judged_by.get(state.bridge.id), state.tables
        if now is None or before is None or same_tables(before, now):
            return ()
        run.journal.changed(state.bridge.id, before, now, last_read_at)
        run.judged_by = {**run.judged_by, state.bridge.id: now}
        run.network = self._network(run.judged_by)
        run.note(f"the flow tables of {state.bridge.id} changed while the trace ran")
        self._deployment.stale |= run.coloring
        return (SaveSnapshot(run.task.id, state.bridge.id, now),)

    def packet_in(self, event: PacketInReceived, runs: tuple[TaskRun, ...]) -> tuple[Command, ...]:
        """A copy arrived: a record for the task its state field names, and for those whose packet it may be as well."""
        state = self._fleet.states.get(event.bridge)
        found = ((plan, read_log(event.packet_in, plan)) for plan in self._deployment.plans_on(event.bridge))
        plan, reading = next(((plan, reading) for plan, reading in found if reading is not None), (None, None))
        if plan is None or reading is None or state is None:
            return ()
        if reading.probe.kind not in APART:
            state.took_copy(plan, event.at)
        if reading.probe.kind in (ProbeKind.ASKED, ProbeKind.FRAGMENT):
            for run in listeners(event, runs):
                self._deployment.stale |= hear(run, event, runs, self._fleet.topology)
            return ()
        owners = [run for run in runs if self._may_own(run, reading.slot, event.at)]
        for run in owners:
            run.observation.copy(event.bridge.node)
            run.touched = True
        if not reading.traced:
            if reading.probe.kind is ProbeKind.UNCOLORED:
                make_room_for(event.headers.dscp, owners, self._deployment)
            return ()
        record: PacketInRecord | None = None
        commands: list[Command] = []
        for run in (one for one in owners if one.stage in EVIDENCE_STAGES):
            with confined(run):
                if needs_joining(run.task.request.filter, event.headers):
                    self._deployment.stale |= widen(run, event.headers, runs, self._fleet.topology)
                record = record or record_of(event, reading, state.bridge, self._fleet.topology)
                commands.extend(self._record(run, record, event.at))
        return tuple(commands)

    def _may_own(self, run: TaskRun, slot: int, at: float) -> bool:
        """Whether a copy that names this slot may be of the task's packets.

        Where other tasks color on, that ends when packets that entered before this one closed cannot be on their way.
        """
        patience = self._settings.short_buffer + self._settings.long_buffer
        over = bool(run.partners) and run.closed_at is not None and at - run.closed_at >= patience
        return not over and (slot == run.slot or slot in run.partners)

    def _record(self, run: TaskRun, record: PacketInRecord, at: float) -> tuple[Command, ...]:
        if run.partners:
            return self._shared(run, record, at)
        if enters(record) and record.in_port not in run.traffic.ofports(record.bridge):
            return ()
        traffic = run.task.request.filter
        its = of_task(record, run.task.id, run.sequence, run.groups.get(record.packet_id))
        mine = run.datagrams.admit(its) if needs_joining(traffic, record.headers) else (its,)
        numbered = (replace(one, sequence=run.sequence) for one in mine)
        kept = tuple(one for one in numbered if run.keep(one, at, enters=enters(one)))
        return (SaveRecords(kept),) if kept else ()

    def _shared(self, run: TaskRun, record: PacketInRecord, at: float) -> tuple[Command, ...]:
        """A copy of a packet that several tasks may own is a record of those that saw it entering as theirs.

        Of equal packets all copies are records, so that the one that entered here is told from the others.
        """
        own = enters(record) and enters_for(run.traffic, record.bridge, record.in_port, record.headers)
        if record.packet_id not in run.groups and not own:
            if not run.full:
                run.held.hold(record)
            return ()
        late = own and not run.coloring
        kept: list[PacketInRecord] = []
        for copy in (*run.held.release(record.packet_id), record):
            numbered = of_task(copy, run.task.id, run.sequence, run.groups.get(copy.packet_id))
            if run.keep(numbered, at, enters=own and copy is record, late=late):
                kept.append(numbered)
        return (SaveRecords(tuple(kept)),) if kept else ()

    def progress(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Decide what can be decided now, ask for the readings the rest needs, and publish news."""
        commands: list[Command] = []
        if run.fleet_version != self._fleet.version and self._deployment.idle:
            commands.extend(self.armed(run))
        for name, group in tuple(run.open.items()):
            commands.extend(self._decide(run, group, at))
            if not group.undecided:
                del run.open[name]
        commands.extend(self.naming.ask(at))
        commands.extend(run.search(self._fleet.topology, at, self._settings.search_time))
        if run.dirty and at - run.saved_at >= self._settings.interim_interval:
            run.dirty, run.saved_at = False, at
            commands.append(self.conclude(run, final=False))
        return tuple(commands)

    def _decide(self, run: TaskRun, group: PacketGroup, at: float) -> tuple[Command, ...]:
        many = (len(group.records) - 1) // MANY_RECORDS
        if group.fresh and (not many or at - group.looked_at >= min(LOOK_INTERVAL * many, LONGEST_INTERVAL)):
            self._look(run, group, at)
        if group.fresh or not group.waiting or at - group.last_at < self._settings.short_buffer:
            return ()
        return self._decide_late(run, group, at)

    def _look(self, run: TaskRun, group: PacketGroup, at: float) -> None:
        """Join the records again, and decide what is complete. What was decided is open again if records added to it.

        Packets beyond the number asked for are only joined, so that they are not taken for one of those.
        """
        group.fresh, group.looked_at, group.weighed = False, at, False
        ways = self._stitch(group)
        if run.partners:
            ways = own_ways(run.traffic, ways)
        ways = ways[: max(1, len(ways) - group.beyond)]
        if group.crowded:
            ways = tuple(replace(way, ambiguous=True) for way in ways)
        found = {way.occurrence for way in ways}
        group.decisions = {number: packet for number, packet in group.decisions.items() if number in found}
        news = [way for way in ways if group.judged(way.occurrence) != way]
        group.waiting = tuple(way for way in news if not _sure(way))
        for way in news:
            if _sure(way):
                self._settle(run, group, way)

    def _decide_late(self, run: TaskRun, group: PacketGroup, at: float) -> tuple[Command, ...]:
        """No final record came in time: look at the bridges concerned once more, then say what happened."""
        since = group.last_at + self._settings.short_buffer
        witnesses = (bridge for observed in group.waiting for bridge in self._witnesses(observed))
        bridges = run.armed_on.keys() & witnesses
        unread = [b for b in bridges if (state := self._fleet.states.get(b)) and state.up and state.read_at < since]
        if unread:
            return self._fleet.ask((bridge for bridge in unread if self._fleet.states[bridge].asked_at < since), at)
        patience_over = at >= since + self._settings.long_buffer
        if patience_over or not group.weighed:
            group.weighed = True
            group.waiting = tuple(
                way for way in group.waiting if not self._settle(run, group, way, only_if_sure=not patience_over)
            )
        return ()

    def _witnesses(self, way: Trajectory) -> Iterator[BridgeId]:
        """The VFD that saw the packet last, and those it may have reached since.

        Copies and readings come in order: after a reading, no older copy is still on its way to us.
        """
        if way.last is None:
            return
        yield way.last.bridge
        if way.last.out_port is not None:
            onward = self._stitcher.places.onward(way.last.bridge, way.last.out_port, way.last.left_by)
            yield from (bridge for bridge, _ in onward.arrivals)

    def _settle(self, run: TaskRun, group: PacketGroup, observed: Trajectory, *, only_if_sure: bool = False) -> bool:
        """Judge a packet; whether that decided it."""
        scene = self._scene(run)
        if not self._fleet.copies_scarce(group.first_at):
            scene = run.calm_scene or scene
        try:
            packet = judge(observed, group.records, run.journal.networks(observed, run.network), scene)
        except Exception as error:  # noqa: BLE001 - the other packets, and the other tasks, are judged all the same
            packet = unjudged(run, observed, error)
        self.naming.notice(packet.verdict, scene.profiles)
        run.searches.notice(observed, packet.verdict)
        if only_if_sure and packet.verdict.disposition is Disposition.INCONCLUSIVE:
            return False
        group.decisions[observed.occurrence] = packet
        run.dirty, run.concluded = True, False
        return True

    def flows_named(self, event: FlowsNamed, runs: Iterable[TaskRun]) -> None:
        """Flows that verdicts blame have names now: say them."""
        new = self.naming.take(event.cookies, event.named)
        self._fleet.version += bool(new)
        for run in runs:
            for group in run.groups.values() if new and run.stage in JUDGED_STAGES else ():
                for packet in tuple(group.decisions.values()):
                    if packet.verdict.culprit is not None and packet.verdict.culprit.cookie in new:
                        self._settle(run, group, packet.observed)

    def conclude(self, run: TaskRun, *, final: bool) -> SaveResult:
        """What is known of a task, as a result."""
        scene = replace(self._scene(run), uncolored=run.uncolored, unanswered=run.unanswered)
        decided = run.decisions
        counters = counted_since(run.counts_before, self._fleet.counts(), culprits_of(decided))
        found = conclude(run.task.id, run.task.request, decided, scene, notes_of(run, scene), counters)
        run.result = replace(found, armed=tuple(sorted(run.armed_on)), vfds=len(self._fleet.states))
        return SaveResult(run.result, final)

    def server_observed(self, run: TaskRun) -> None:
        """Copies that a server dropped make silence of what was silent before: packets judged by it are judged anew."""
        overflowed = sum(run.observation.copies_dropped().values())
        if overflowed <= run.overflowed:
            return
        run.overflowed = overflowed
        if run.scene is not None:
            run.scene, run.calm_scene = replace(run.scene, overflowed=run.observation.copies_dropped()), None
        self.reconsider(run)

    def reconsider(self, run: TaskRun) -> None:
        """Judge again what was not delivered: more is known now of lost copies and packets, or of the tables."""
        run.dirty, run.concluded = True, False
        for group in run.groups.values():
            for packet in tuple(group.decisions.values()):
                if packet.verdict.disposition is not Disposition.DELIVERED:
                    self._settle(run, group, packet.observed)

    @staticmethod
    def with_costs(run: TaskRun) -> tuple[Command, ...]:
        """The result again, with what the trace cost each server, if it has one and that is known."""
        costs = run.observation.costs()
        if run.result is None or not costs:
            return ()
        run.result = replace(run.result, costs=costs)
        return (SaveResult(run.result, final=True),)

    def finish(self, run: TaskRun) -> tuple[Command, ...]:
        """Everything that is kept of a decided task, unless it is kept already: every packet's ways, and the result."""
        if run.concluded:
            return ()
        run.concluded, run.dirty = True, False
        ways = tuple(way for packet in run.decisions for way in (packet.observed, packet.predicted) if way is not None)
        return (SaveTrajectories(run.task.id, ways), self.conclude(run, final=True))

    def _network(self, tables: Mapping[BridgeId, BridgeTables]) -> Network:
        """The network with these tables; one for all tasks judged by the same, as its indexes are made on demand."""
        topology, known, network = self._indexed
        same = topology is self._fleet.topology and known.keys() == tables.keys()
        if not (same and all(known[bridge] is tables[bridge] for bridge in tables)):
            network = Network.build(self._fleet.topology, tables, before=network)
            self._indexed = self._fleet.topology, tables, network
        return network

    def _stitch(self, group: PacketGroup) -> tuple[Trajectory, ...]:
        if self._stitcher.places.topology is not self._fleet.topology:
            self._stitcher = Stitcher(self._fleet.topology)
        return self._stitcher.stitch(group.records)

    def _scene(self, run: TaskRun) -> Scene:
        if run.scene is not None and not run.instrumented:
            return run.scene  # what bridges carried, and what they counted, is gone with it
        if run.scene is None or run.scene_version != self._fleet.version:
            states = self._fleet.states.items()
            profiles = {b: self.naming.told(self._profile_named(state.bridge.profile)) for b, state in states}
            hop_limit = self._deployment.marks.length + 1
            run.scene = scene_for(run, self._fleet, profiles, hop_limit)
            run.calm_scene = replace(run.scene, copies_capped={}) if run.scene.copies_capped else None
            run.scene_version = self._fleet.version
        return run.scene


def _sure(way: Trajectory) -> bool:
    """Whether nobody needs to wait for more records of this packet."""
    return complete(way) and not any(hop.inferred for hop in way.hops)
