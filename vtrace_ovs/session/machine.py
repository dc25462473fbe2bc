"""Turns events into commands: every task from claimed to ended, over one deployment of all bridges."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from vtrace_ovs.errors import VtraceError
from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.instrumentation.scope import armed_task, scope_note
from vtrace_ovs.model.cost import Moment
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.session.alternator import Alternator, require_company
from vtrace_ovs.session.attendance import Attendance
from vtrace_ovs.session.brakes import brakes
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.commands import Command, ObserveServers, ReportFault, SaveTaskState
from vtrace_ovs.session.decisions import Decisions
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import (
    BridgeDown,
    BridgeRead,
    BridgeUp,
    CancelRequested,
    CopiesCrowded,
    CountersRead,
    DatapathsRead,
    Event,
    FlowsChanged,
    FlowsNamed,
    IntentsWritten,
    InventoryRead,
    PacketInReceived,
    Programmed,
    ServerObserved,
    TaskClaimed,
    Tick,
    UnderlaySearched,
)
from vtrace_ovs.session.faults import confined
from vtrace_ovs.session.intake import Intake
from vtrace_ovs.session.naming import Naming
from vtrace_ovs.session.outcomes import Outcomes
from vtrace_ovs.session.planning import Planning
from vtrace_ovs.session.presence import Presence
from vtrace_ovs.session.reaching import read_first
from vtrace_ovs.session.readings import Readings
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.scope import resolve
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.slots import Slots
from vtrace_ovs.session.turns import Turns
from vtrace_ovs.session.wiping import Wiping


class Session:
    """All tasks of one controller. Feed it events in order; carry out the commands it returns, in order."""

    def __init__(
        self,
        settings: SessionSettings,
        instrumentation: Settings,
        profile_named: Callable[[str | None], PipelineProfile],
    ) -> None:
        self.settings = settings
        self.fleet = Fleet()
        self.runs: dict[int, TaskRun] = {}
        self.slots = Slots(settings.slot_quarantine, settings.max_tasks)
        self.planning = Planning(self.fleet, instrumentation)
        deadlines = settings.answer_deadline, settings.parting_deadline
        self.deployment = Deployment(self.fleet, self.planning, *deadlines, settings.drain)
        self.presence = Presence(self.fleet, self.deployment, settings)
        self.attendance = Attendance(self.fleet, self.deployment, settings)
        self.turns = Turns(self.deployment)
        self.intake = Intake(self.fleet, self.deployment, settings)
        self.outcomes = Outcomes(self.fleet, self.planning, Naming(settings.naming_deadline), profile_named)
        self.wiping = Wiping(self.fleet, self.deployment)
        self.readings = Readings(self.fleet, self.deployment, self.outcomes, self.wiping)
        self.decisions = Decisions(self.fleet, self.deployment, self.readings, self.outcomes, settings)
        self.alternator = Alternator(self.fleet, self.deployment, settings, profile_named)

    @property
    def idle(self) -> bool:
        """Whether no task runs and no bridge carries anything of ours."""
        return not self.runs and self.deployment.settled

    @property
    def calm(self) -> bool:
        """Whether nothing is to happen soon by the passing of time alone: tasks wait for packets, if there are any.

        May be asked by any thread, at any time.
        """
        return self.deployment.settled and all(run.only_waits for run in tuple(self.runs.values()))

    def handle(self, event: Event, *, copies_follow: bool = False) -> tuple[Command, ...]:
        """What to do about one event.

        What a copy leads to can wait for the last of those that follow it, and all else for the end of coloring.
        """
        if self.presence.outlived(event):
            return ()
        absorbed = self._absorb(event)
        news = isinstance(event, PacketInReceived)
        if isinstance(event, CopiesCrowded) or (news and copies_follow):
            return absorbed
        progress = self._progress([run for run in self.runs.values() if run.touched or not news], event.at)
        return (*(() if news else self._first_looks()), *absorbed, *progress)

    def _first_looks(self) -> tuple[Command, ...]:
        """See what servers carry before anything of ours comes there, as soon as it is known where that will be."""
        arming = (run for run in self.runs.values() if run.stage is Stage.ARMING and run.aliased)
        return tuple(look for run in arming if not run.observation.begun for look in self._observe(run, Moment.BEFORE))

    def _absorb(self, event: Event) -> tuple[Command, ...]:
        runs = tuple(self.runs.values())
        match event:
            case BridgeDown(bridge=bridge):
                return (*self.turns.lost(bridge, runs), *self.presence.told(event, runs))
            case InventoryRead() | BridgeUp():
                return self.presence.told(event, runs)
            case TaskClaimed(at, task):
                self.runs[task.id] = TaskRun(task, self.slots.free(runs, at), claimed_at=at)
            case CancelRequested() | ServerObserved() | UnderlaySearched() | DatapathsRead():
                self._told_of_a_run(event)
            case CountersRead():
                self.alternator.told(event, runs)
            case BridgeRead(at, bridge):
                again = self.presence.answered(bridge, at, runs)
                return (*again, *self.readings.bridge_read(event, runs), *self.deployment.bridge_read(event))
            case FlowsChanged():
                return self.wiping.told(event, runs)
            case CopiesCrowded():
                return self.turns.crowded(event, runs)
            case IntentsWritten(at, batch):
                return self.deployment.intents_written(batch, at)
            case Programmed(at, bridge):
                again = self.presence.answered(bridge, at, runs)
                self.alternator.told(event, runs)
                return (*again, *self.deployment.programmed(event))
            case PacketInReceived():
                return self.intake.packet_in(event, runs)
            case FlowsNamed():
                self.outcomes.flows_named(event, runs)
            case Tick(at):
                return self._time_passed(at, runs)
            case _:
                assert_never(event)
        return ()

    def _time_passed(self, at: float, runs: tuple[TaskRun, ...]) -> tuple[Command, ...]:
        looks = (*self.presence.overdue(at, runs), *self.deployment.drained(at), *self.presence.peek(at, runs))
        return (*looks, *self.fleet.ask_now(at), *self.attendance.review(runs, at))

    def _told_of_a_run(self, event: CancelRequested | ServerObserved | UnderlaySearched | DatapathsRead) -> None:
        run = self.runs.get(event.task_id)
        if run is not None and isinstance(event, CancelRequested):
            run.cancelled = True
        elif run is not None and isinstance(event, ServerObserved):
            run.observation.take(event.node, event.moment, event.reading)
            with confined(run):
                self.outcomes.server_observed(run)
        elif run is not None and isinstance(event, UnderlaySearched):
            run.searches.take(event.cards, event.down, event.passed)
            if (event.cards or event.down or event.passed) and run.instrumented:
                run.scene = None
                with confined(run):
                    self.outcomes.reconsider(run)
        elif run is not None and isinstance(event, DatapathsRead):
            run.suspicions.take(event.readings)
            run.searches.wanted.clear()  # what is judged anew asks anew
            if run.instrumented:
                run.scene = None
                with confined(run):
                    self.outcomes.reconsider(run)

    def _progress(self, runs: Sequence[TaskRun], at: float) -> tuple[Command, ...]:
        """Let these tasks go on; all but those a copy was for can wait for the next event that is no copy."""
        commands: list[Command] = []
        for run in runs:
            run.touched = False
            if not run.faults:
                with confined(run):
                    commands.extend(self._move(run, at))
            commands.extend(self._faults(run))
        self.turns.advance(self.runs, at)
        if self.deployment.stale and self.deployment.idle:
            commands.extend(self.deployment.begin(self.runs.values(), at))
        return tuple(commands)

    def _faults(self, run: TaskRun) -> tuple[Command, ...]:
        """Log what went wrong in here with a task; one that failed over it is taken out of the network.

        What goes wrong with ending it would do so for ever: that ends the controller, which cleans the bridges.
        """
        found, run.faults = tuple(run.faults), []
        if found and run.stage in (Stage.REMOVING, Stage.ENDED):
            raise found[0]
        if found and run.failure is not None:
            run.stage, self.deployment.stale = Stage.REMOVING, True
        return tuple(ReportFault(run.task.id, error) for error in found)

    def _move(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        match run.stage:
            case Stage.WAITING:
                return self._start(run, at)
            case Stage.ARMING:
                return self._armed(run, at) if self.deployment.settled else ()
            case Stage.COLLECTING:
                return self._collect(run, at)
            case Stage.CLOSING:
                return self._close(run, at)
            case Stage.DRAINING:
                return self._drain(run, at)
            case Stage.REMOVING:
                return self._removed(run, at) if self.deployment.settled else ()
            case Stage.OBSERVING:
                return self._observed(run, at)
            case Stage.ENDED:
                return ()
            case _:
                assert_never(run.stage)

    def _start(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        if run.cancelled:
            return self._ended(run, at)
        if not self.fleet.known and at - run.claimed_at <= self.settings.inventory_deadline:
            return ()
        if self.alternator.must_wait(run, self.runs.values()):
            return ()
        try:
            require_company(run, self.runs.values())
            called = self._call(run, at) if run.called_at is None else ()
            waited = at - (run.called_at or at) > self.settings.inventory_deadline
            if self.fleet.awaits(run.places) and not waited:
                return called
            self.presence.require_one_of(source.bridge for source in run.traffic.sources)
        except VtraceError as error:
            run.failure = str(error)
            return self._ended(run, at)
        run.copies_before = {bridge: known.copies.tally for bridge, known in self.fleet.states.items()}
        run.note(scope_note(self.fleet.topology, run.task.request))
        self.slots.find_partners(run, run.traffic, self.runs.values())
        run.stage, self.deployment.stale, self.deployment.reread = Stage.ARMING, True, True
        return (*called, SaveTaskState(run.task.id, TaskState.ARMING, at, slot=run.slot))

    def _call(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Find out where its packets enter, and have these VFDs connected, with those that are to be read with them.

        Raises UsageError and RefusedError for a task that cannot be.
        """
        self.slots.require(run.slot)
        run.task = replace(run.task, request=resolve(self.fleet.topology, run.task.request))
        run.promised_until = at + run.task.request.trace_time
        run.armed_traffic = armed_task(self.fleet.topology, run.slot, run.task.request, run.promised_until)
        run.called_at = at
        return self.fleet.call(read_first(self.fleet.states, run.places), at)

    def _armed(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        problem = self.deployment.first_problem()
        if problem is not None or run.cancelled or run.invalidated:
            run.failure = problem
            run.stage, self.deployment.stale = Stage.REMOVING, True
            return ()
        run.stage, run.armed_at, run.journal.began = Stage.COLLECTING, at, at
        counting = () if run.alternation is None else self.alternator.begin(run.alternation, at)
        return (SaveTaskState(run.task.id, TaskState.ARMED, at), *self.readings.armed(run), *counting)

    def _collect(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        if run.alternation is not None:
            return self.alternator.collect(run, run.alternation, at)
        commands = self.decisions.progress(run, at)
        problem = self.deployment.first_problem()
        if problem is not None and self.deployment.idle and not self.deployment.arms:
            run.note(f"the bridges could not be instrumented anew while the trace ran: {problem}")
        over = run.full or at >= run.deadline or self._answered(run, at)
        if over or run.cancelled or run.invalidated:
            ended = () if self.deployment.idle else tuple(brakes(self.fleet, (run,)))
            run.stage, run.closed_at, self.deployment.stale = Stage.CLOSING, at, True
            draining = SaveTaskState(run.task.id, TaskState.DRAINING, at)
            return (*ended, *commands, draining, *self._observe(run, Moment.DURING))
        return commands

    def _answered(self, run: TaskRun, at: float) -> bool:
        """Whether the task whose replies these are is over, for as long as a reply may take."""
        request = run.task.request.answers
        if request is None or request in self.runs:
            return False
        run.request_ended_at = run.request_ended_at or at
        return at >= run.request_ended_at + self.settings.reply_wait

    def _close(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        if run.alternation is not None:
            return self.alternator.finish(run, run.alternation, at)
        commands = self.decisions.progress(run, at)
        if not self.deployment.settled or (run.undecided and not run.cancelled):
            return commands
        run.stage, run.drained_at = Stage.DRAINING, at + self.settings.drain
        return (*commands, *self.outcomes.finish(run))

    def _drain(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Copies that are late may still change what was decided, and so may what bridges say in the end."""
        if run.alternation is not None:
            return self.alternator.finish(run, run.alternation, at)
        commands = self.decisions.progress(run, at)
        if at < run.drained_at:
            return commands
        if not run.looked_back and not run.cancelled:
            run.looked_back = True
            return (*commands, *self.fleet.ask(self.fleet.carrying(), at))
        undecided = run.undecided or self.outcomes.naming.awaits(at) or self.fleet.owing
        if (undecided or run.searching(at)) and not run.cancelled:
            return commands
        kept = self.outcomes.finish(run)
        run.stage, self.deployment.stale = Stage.REMOVING, True
        return (*commands, *kept)

    def _removed(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        if run.result is None or run.cancelled:
            return self._ended(run, at)
        run.stage, run.observe_until = Stage.OBSERVING, at + self.settings.observation_deadline
        return self._observe(run, Moment.AFTER)

    def _observed(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Whoever has not said by now what the trace cost it is not waited for."""
        if run.observation.awaited and at < run.observe_until:
            return ()
        return (*self.outcomes.finish(run), *self.outcomes.with_costs(run), *self._ended(run, at))

    def _observe(self, run: TaskRun, moment: Moment) -> tuple[Command, ...]:
        states = (self.fleet.states[bridge] for bridge in run.scope if bridge in self.fleet.states)
        bridges = run.observation.ask((state.bridge for state in states if state.up), moment)
        zones = moment is not Moment.BEFORE and run.unconnected
        return (ObserveServers(run.task.id, moment, bridges, zones),) if bridges else ()

    def _ended(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        run.stage = Stage.ENDED
        del self.runs[run.task.id]
        self.slots.rest(run, at)
        ended = SaveTaskState(run.task.id, run.final_state, at, reason=run.failure or run.invalidated)
        return (*self.deployment.let_go(run), ended, *self.attendance.look(self.runs.values(), at))
