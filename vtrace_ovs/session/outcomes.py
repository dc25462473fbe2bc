"""Turns the ways of a task's packets into verdicts, and its verdicts into the result that is kept."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from vtrace_ovs.diagnosis.conclusion import conclude
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition, Verdict
from vtrace_ovs.session.bridge_counts import counted_since, culprits_of
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.collecting import PacketGroup
from vtrace_ovs.session.commands import Command, SaveResult, SaveTrajectories
from vtrace_ovs.session.events import FlowsNamed
from vtrace_ovs.session.faults import unjudged
from vtrace_ovs.session.judging import judge, scene_for
from vtrace_ovs.session.naming import Naming
from vtrace_ovs.session.notes import notes_of
from vtrace_ovs.session.planning import Planning
from vtrace_ovs.session.runs import TaskRun


class Outcomes:
    """What became of packets, as far as is known; judged anew when more is."""

    def __init__(
        self, fleet: Fleet, planning: Planning, naming: Naming, profile_named: Callable[[str | None], PipelineProfile]
    ) -> None:
        self._fleet = fleet
        self._planning = planning
        self._profile_named = profile_named
        self.naming = naming

    def settle(
        self, run: TaskRun, group: PacketGroup, observed: Trajectory, *, but: Callable[[Verdict], bool] | None = None
    ) -> bool:
        """Judge a packet; whether that decided it. It does not if its verdict is one of ``but``."""
        scene = self._scene(run)
        if run.calm_scene is not None and not self._fleet.copies_scarce(group.all_entered_by):
            scene = run.calm_scene
        try:
            networks = run.journal.networks(observed, run.network)
            packet = judge(observed, group.records, networks, scene, group.walks)
        except Exception as error:  # noqa: BLE001 - the other packets, and the other tasks, are judged all the same
            packet = unjudged(run, observed, error)
        self.naming.notice(packet.verdict, scene.profiles)
        run.suspicions.notice(observed, packet.verdict)
        run.searches.notice(observed, packet.verdict)
        if but is not None and but(packet.verdict):
            return False
        group.decisions[observed.occurrence] = packet
        run.dirty, run.concluded = True, False
        return True

    def reconsider(self, run: TaskRun) -> None:
        """Judge again what was not delivered: more is known now of lost copies and packets, or of the tables."""
        run.dirty, run.concluded = True, False
        for group in run.groups.values():
            for packet in tuple(group.decisions.values()):
                if packet.verdict.disposition is not Disposition.DELIVERED:
                    self.settle(run, group, packet.observed)

    def flows_named(self, event: FlowsNamed, runs: Iterable[TaskRun]) -> None:
        """Flows that verdicts blame have names now: say them."""
        new = self.naming.take(event.cookies, event.named)
        self._fleet.version += bool(new)
        for run in runs:
            for group in run.groups.values() if new and run.judged else ():
                for packet in tuple(group.decisions.values()):
                    if packet.verdict.culprit is not None and packet.verdict.culprit.cookie in new:
                        self.settle(run, group, packet.observed)

    def server_observed(self, run: TaskRun) -> None:
        """What a server dropped or cannot reach may tell more of packets: those are judged anew.

        Copies it dropped make silence of what was a loss; a tunnel endpoint that it has no way to was never sent to. A
        connection tracking zone that is full tells why packets belong to no connection.
        """
        dropped, reaches = run.observation.copies_dropped(), run.observation.reach()
        overflowed, zones = sum(dropped.values()), run.observation.full_zones()
        astray = any(packet.verdict.code is CauseCode.OUTSIDE_INVENTORY for packet in run.decisions)
        if overflowed <= run.overflowed and not (reaches and astray) and not zones:
            return
        run.overflowed = max(overflowed, run.overflowed)
        if run.scene is not None:
            told = replace(run.scene, overflowed=dropped, reaches=reaches, full_zones=zones)
            run.scene, run.calm_scene = told, None
        self.reconsider(run)

    def conclude(self, run: TaskRun, *, final: bool) -> SaveResult:
        """What is known of a task, as a result."""
        scene = replace(self._scene(run), uncolored=run.uncolored, unanswered=run.unanswered, undecided=len(run.open))
        decided = run.decisions
        counters = counted_since(run.counts_before, self._fleet.counts(), culprits_of(decided))
        found = conclude(run.task.id, run.task.request, decided, scene, notes_of(run, scene), counters)
        run.result = replace(found, armed=tuple(sorted(run.armed_on)), vfds=len(self._fleet.states))
        return SaveResult(run.result, final)

    def _scene(self, run: TaskRun) -> Scene:
        if run.scene is not None and not run.instrumented:
            return run.scene  # what bridges carried, and what they counted, is gone with it
        if run.scene is None or run.scene_version != self._fleet.version:
            states = self._fleet.states.items()
            profiles = {b: self.naming.told(self._profile_named(state.bridge.profile)) for b, state in states}
            hop_limit = self._planning.marks.length + 1
            run.scene = scene_for(run, self._fleet, profiles, hop_limit)
            run.calm_scene = replace(run.scene, copies_capped={}) if run.scene.copies_capped else None
            run.scene_version = self._fleet.version
        return run.scene

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
