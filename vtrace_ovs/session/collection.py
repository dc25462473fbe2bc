"""Turns copies and readings into records, decisions and results of every running task."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from vtrace_ovs.diagnosis.conclusion import conclude
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.instrumentation.cookies import GENERATION_SHIFT, is_ours
from vtrace_ovs.instrumentation.reading import LogReading, read_log
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.bridges import BridgeState, Fleet, same_tables
from vtrace_ovs.session.collecting import PacketGroup, record_of
from vtrace_ovs.session.commands import (
    Command,
    ReadBridge,
    SaveRecords,
    SaveResult,
    SaveSamples,
    SaveSnapshot,
    SaveTrajectories,
)
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import BridgeRead, PacketInReceived
from vtrace_ovs.session.judging import judge, samples_of, scene_of
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.trajectories.stitch import Stitcher, complete
from vtrace_ovs.walker.network import Network

EVIDENCE_STAGES = frozenset({Stage.ARMING, Stage.COLLECTING, Stage.CLOSING, Stage.DRAINING})
JUDGED_STAGES = EVIDENCE_STAGES - {Stage.ARMING}


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

    def armed(self, run: TaskRun) -> tuple[Command, ...]:
        """Fix what the task is judged by: the tables and meters of this moment."""
        run.judged_by = self._fleet.tables()
        run.network = Network.build(self._fleet.topology, run.judged_by)
        run.meters_before = {
            bridge: dict(state.meters) for bridge, state in self._fleet.states.items() if state.tables is not None
        }
        return tuple(SaveSnapshot(run.task.id, bridge, tables) for bridge, tables in run.judged_by.items())

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
        plan = self._deployment.plan_on(event.bridge)
        private = frozenset() if plan is None else frozenset(meter.meter_id for meter in plan.meters)
        meters = tuple(entry for entry in event.tables.meters if entry.meter_id not in private)
        state.adopt(replace(event.tables, flows=theirs, meters=meters), event.meters, event.at)
        self._fleet.version += 1
        commands: list[Command] = []
        for run in runs:
            if run.stage in JUDGED_STAGES:
                commands.append(SaveSamples(samples_of(run.task.id, event, ours)))
                commands.extend(self._follow(run, state))
        return tuple(commands)

    def _follow(self, run: TaskRun, state: BridgeState) -> tuple[Command, ...]:
        """Judge by the new tables, and clone from them, when production changed them under a running task."""
        before, now = run.judged_by.get(state.bridge.id), state.tables
        if now is None or (before is not None and same_tables(before, now)):
            return ()
        run.judged_by = {**run.judged_by, state.bridge.id: now}
        run.network = Network.build(self._fleet.topology, run.judged_by)
        run.note(f"the flow tables of {state.bridge.id} changed while the trace ran")
        self._deployment.stale = True
        return (SaveSnapshot(run.task.id, state.bridge.id, now),)

    def packet_in(self, event: PacketInReceived, runs: tuple[TaskRun, ...]) -> tuple[Command, ...]:
        """A copy arrived: a record for the task its state field names."""
        plan, state = self._deployment.plan_on(event.bridge), self._fleet.states.get(event.bridge)
        reading = read_log(event.packet_in, plan) if plan is not None else None
        if reading is None or state is None:
            return ()
        owner = next((run for run in runs if run.slot == reading.slot), None)
        if not reading.traced:
            return self._untraced(owner, event)
        if owner is None or owner.stage not in EVIDENCE_STAGES:
            return ()
        return self._record(owner, event, reading, state)

    def _untraced(self, run: TaskRun | None, event: PacketInReceived) -> tuple[Command, ...]:
        """Traffic of the filter that carries a DSCP no series exists for yet: make one, if codes are left.

        A tenant that sends one of our code points itself gets it back for good: another code takes its place.
        """
        dscp, marks = event.headers.dscp, self._deployment.marks
        if run is None or dscp is None or dscp in marks.series:
            return ()
        yielded = marks if marks.mark(dscp) is None else marks.without(dscp)
        wider = None if yielded is None else yielded.with_series(dscp)
        if wider is None and yielded is not None and yielded != marks:
            self._deployment.marks, self._deployment.stale = yielded, True
        if wider is None:
            run.note(f"packets with DSCP {dscp} were not traced: no code points are left to carry their marks")
        else:
            self._deployment.marks, self._deployment.stale = wider, True
        return ()

    def _record(
        self, run: TaskRun, event: PacketInReceived, reading: LogReading, state: BridgeState
    ) -> tuple[Command, ...]:
        record = record_of(event, reading, state.bridge, self._fleet.topology, run.task.id, run.sequence)
        entering = record.loc is Loc.IN and record.dscp_mark == 1
        if entering and record.in_port not in run.sources.get(record.bridge, ()):
            return ()
        group = run.groups.get(record.packet_id)
        if group is None:
            if run.packets >= run.task.request.packet_count:
                run.extra_packets += entering
                return ()
            group = run.groups[record.packet_id] = PacketGroup(event.at)
        run.sequence += 1
        group.add(record, event.at)
        return (SaveRecords((record,)),)

    def progress(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Decide what can be decided now, ask for the readings the rest needs, and publish news."""
        commands: list[Command] = []
        for group in run.groups.values():
            if group.undecided:
                commands.extend(self._decide(run, group, at))
        if run.dirty and at - run.saved_at >= self._settings.interim_interval:
            run.dirty, run.saved_at = False, at
            commands.append(self.conclude(run, final=False))
        return tuple(commands)

    def _decide(self, run: TaskRun, group: PacketGroup, at: float) -> tuple[Command, ...]:
        quiet = at - group.last_at
        if not group.fresh and quiet < self._settings.short_buffer:
            return ()
        group.fresh = False
        waiting: list[Trajectory] = []
        for observed in self._stitch(group):
            if observed.occurrence in group.decisions:
                continue
            if complete(observed) and not any(hop.inferred for hop in observed.hops):
                self._settle(run, group, observed)
            else:
                waiting.append(observed)
        group.undecided = bool(waiting)
        if quiet < self._settings.short_buffer:
            return ()
        return self._decide_late(run, group, waiting, at)

    def _decide_late(
        self, run: TaskRun, group: PacketGroup, waiting: list[Trajectory], at: float
    ) -> tuple[Command, ...]:
        """No final record came in time: look at the bridges concerned once more, then say what happened."""
        since = group.last_at + self._settings.short_buffer
        bridges = {observed.last.bridge for observed in waiting if observed.last is not None}
        unread = [b for b in bridges if (state := self._fleet.states.get(b)) and state.up and state.read_at < since]
        if unread:
            asked = [bridge for bridge in unread if self._fleet.states[bridge].asked_at < since]
            for bridge in asked:
                self._fleet.states[bridge].asked_at = at
            return tuple(ReadBridge(bridge) for bridge in asked)
        patience_over = at - group.last_at >= self._settings.short_buffer + self._settings.long_buffer
        for observed in waiting:
            self._settle(run, group, observed, only_if_sure=not patience_over)
        group.undecided = any(observed.occurrence not in group.decisions for observed in waiting)
        return ()

    def _settle(self, run: TaskRun, group: PacketGroup, observed: Trajectory, *, only_if_sure: bool = False) -> None:
        packet = judge(observed, group.records, run.network, self._scene(run))
        if only_if_sure and packet.verdict.disposition is Disposition.INCONCLUSIVE:
            return
        group.decisions[observed.occurrence] = packet
        run.dirty = True

    def conclude(self, run: TaskRun, *, final: bool) -> SaveResult:
        """What is known of a task, as a result."""
        notes = tuple(run.notes)
        if run.extra_packets:
            packets = "packet was" if run.extra_packets == 1 else "packets were"
            notes = (*notes, f"{run.extra_packets} more {packets} colored before coloring ended")
        run.result = conclude(run.task.id, run.task.request, run.decisions, self._scene(run), notes)
        return SaveResult(run.result, final)

    def finish(self, run: TaskRun) -> tuple[Command, ...]:
        """Everything that is kept of a decided task: every packet's ways, and the result."""
        ways = tuple(way for packet in run.decisions for way in (packet.observed, packet.predicted) if way is not None)
        return (SaveTrajectories(run.task.id, ways), self.conclude(run, final=True))

    def _stitch(self, group: PacketGroup) -> tuple[Trajectory, ...]:
        if self._stitcher.places.topology is not self._fleet.topology:
            self._stitcher = Stitcher(self._fleet.topology)
        return self._stitcher.stitch(group.records)

    def _scene(self, run: TaskRun) -> Scene:
        if run.scene is None or run.scene_version != self._fleet.version:
            profiles = {b: self._profile_named(state.bridge.profile) for b, state in self._fleet.states.items()}
            hop_limit = self._deployment.marks.length + 1
            run.scene = scene_of(self._fleet, profiles, run.meters_before, hop_limit, run.armed_at)
            run.scene_version = self._fleet.version
        return run.scene
