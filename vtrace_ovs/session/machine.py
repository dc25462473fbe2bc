"""Turns events into commands: every task from claimed to ended, over one deployment of all bridges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from vtrace_ovs.errors import InfrastructureError, RefusedError, VtraceError
from vtrace_ovs.instrumentation.plan import ArmedTask, Settings
from vtrace_ovs.instrumentation.scope import armed_task, scope_note
from vtrace_ovs.instrumentation.sharing import may_share
from vtrace_ovs.model.cost import Moment
from vtrace_ovs.model.profile import PipelineProfile
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.session.alternator import Alternator, require_company
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.collection import Collection
from vtrace_ovs.session.commands import (
    Command,
    EraseIntents,
    ObserveServers,
    ReportFault,
    SaveTaskState,
)
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import (
    BridgeDown,
    BridgeRead,
    BridgeReleased,
    BridgeUp,
    CancelRequested,
    CountersRead,
    Event,
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
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.scope import resolve
from vtrace_ovs.session.settings import SessionSettings

SLOTS = 512
NAMED_REASONS = 3


@dataclass(frozen=True, slots=True)
class Resting:
    """A task number that packets and copies on their way may still carry until then, and the traffic it stood for."""

    until: float
    traffic: ArmedTask | None

    def concerns(self, traffic: ArmedTask) -> bool:
        """Whether such a copy may be of this traffic."""
        return self.traffic is not None and may_share(self.traffic, traffic)


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
        self.deployment = Deployment(self.fleet, instrumentation, settings.answer_deadline, settings.drain)
        self.collection = Collection(self.fleet, self.deployment, settings, profile_named)
        self.alternator = Alternator(self.fleet, self.deployment, settings, profile_named)
        self._resting: dict[int, Resting] = {}
        self._reread = False

    @property
    def idle(self) -> bool:
        """Whether no task runs and no bridge carries anything of ours."""
        return not self.runs and self.deployment.settled

    def handle(self, event: Event) -> tuple[Command, ...]:
        """What to do about one event."""
        absorbed = self._absorb(event)
        news = isinstance(event, PacketInReceived)
        progress = self._progress([run for run in self.runs.values() if run.touched or not news], event.at)
        return (*(() if news else self._first_looks()), *absorbed, *progress)

    def _first_looks(self) -> tuple[Command, ...]:
        """See what servers carry before anything of ours comes there, as soon as it is known where that will be."""
        arming = (run for run in self.runs.values() if run.stage is Stage.ARMING and run.aliased)
        return tuple(look for run in arming if not run.observation.begun for look in self._observe(run, Moment.BEFORE))

    def _absorb(self, event: Event) -> tuple[Command, ...]:
        match event:
            case InventoryRead(at, topology, problems):
                return self._inventory_read(topology, problems, at)
            case BridgeUp(at, bridge, dpid):
                self._bridge_up(bridge, dpid, at)
            case BridgeDown(at, bridge, reason):
                return self._bridge_down(bridge, reason, at)
            case BridgeReleased(_, bridge):
                self._bridge_released(bridge)
            case TaskClaimed(at, task):
                self.runs[task.id] = TaskRun(task, self._free_slot(at), claimed_at=at)
            case CancelRequested() | ServerObserved() | UnderlaySearched():
                self._told_of_a_run(event)
            case CountersRead():
                self.alternator.told(event, self.runs.values())
            case BridgeRead(at, bridge):
                self._revive(bridge, at)
                return (
                    *self.collection.bridge_read(event, self.runs.values()),
                    *self.deployment.bridge_read(event),
                )
            case IntentsWritten(at, batch):
                return self.deployment.intents_written(batch, at)
            case Programmed(at, bridge):
                self._revive(bridge, at)
                self.alternator.told(event, self.runs.values())
                return self.deployment.programmed(event)
            case PacketInReceived():
                return self.collection.packet_in(event, tuple(self.runs.values()))
            case FlowsNamed():
                self.collection.flows_named(event, self.runs.values())
            case Tick(at):
                return (*self._overdue(at), *self.deployment.drained(at), *self._peek(at))
            case _:
                assert_never(event)
        return ()

    def _told_of_a_run(self, event: CancelRequested | ServerObserved | UnderlaySearched) -> None:
        run = self.runs.get(event.task_id)
        if run is not None and isinstance(event, CancelRequested):
            run.cancelled = True
        elif run is not None and isinstance(event, ServerObserved):
            run.observation.take(event.node, event.moment, event.reading)
            with confined(run):
                self.collection.server_observed(run)
        elif run is not None and isinstance(event, UnderlaySearched):
            run.searches.take(event.cards, event.down)
            if (event.cards or event.down) and run.instrumented:
                run.scene = None
                with confined(run):
                    self.collection.reconsider(run)

    def _inventory_read(self, topology: Topology, problems: tuple[str, ...], at: float) -> tuple[Command, ...]:
        named = {bridge.id for bridge in topology.vfds()}
        vanished = [state for bridge, state in self.fleet.states.items() if bridge not in named]
        commands: list[Command] = []
        for state in vanished:
            state.up = None
            commands.extend(self.deployment.bridge_lost(state.bridge.id, at))
        self.fleet.adopt(topology, problems)
        self.deployment.stale |= bool(vanished) and any(run.instrumented for run in self.runs.values())
        return tuple(commands)

    def _bridge_up(self, bridge: BridgeId, dpid: int, at: float) -> None:
        state = self.fleet.states.get(bridge)
        if state is None:
            return
        state.up, state.dpid, state.reason, state.up_at = True, dpid, "", at
        state.asked_at, state.owes = state.read_at, False  # what was asked of it before is not answered any more
        self.fleet.version += 1
        running = [run for run in self.runs.values() if run.instrumented]
        self.deployment.stale |= bool(state.left or running)
        self._reread |= bool(state.left) or any(bridge in run.scope for run in running)

    def _revive(self, bridge: BridgeId, at: float) -> None:
        """A bridge we gave up on answers after all, over the same connection."""
        state = self.fleet.states.get(bridge)
        if state is not None and state.up is False and state.dpid is not None:
            self._bridge_up(bridge, state.dpid, at)

    def _bridge_down(self, bridge: BridgeId, reason: str, at: float) -> tuple[Command, ...]:
        """Nobody may mark packets toward it: when it comes back, it takes no marks off until it is armed again."""
        state = self.fleet.states.get(bridge)
        if state is not None:
            state.up, state.reason = False, reason.removeprefix(f"{bridge}: ")
            self.fleet.version += 1
            colored = any(run.coloring for run in self.runs.values())
            self.deployment.stale |= colored and state.carried is not None
        return self.deployment.bridge_lost(bridge, at)

    def _bridge_released(self, bridge: BridgeId) -> None:
        state = self.fleet.states.get(bridge)
        if state is not None:
            state.up, state.reason, state.tables = None, "", None

    def _overdue(self, at: float) -> tuple[Command, ...]:
        commands: list[Command] = []
        silent = self.fleet.silent(at, self.settings.answer_deadline)
        for bridge in dict.fromkeys((*self.deployment.overdue(at), *silent)):
            reason = f"ovs-vswitchd did not answer within {self.settings.answer_deadline:g} s"
            commands.extend(self._bridge_down(bridge, reason, at))
        return tuple(commands)

    def _peek(self, at: float) -> tuple[Command, ...]:
        collecting = any(run.stage is Stage.COLLECTING for run in self.runs.values())
        return self.fleet.peek(at, self.settings.peek_interval) if collecting and self.deployment.settled else ()

    def _free_slot(self, at: float) -> int:
        """The smallest task number that is neither in use nor may still be carried by a late packet (trap T18)."""
        used = {run.slot for run in self.runs.values()}
        self._resting = {slot: rest for slot, rest in self._resting.items() if rest.until > at}
        return next((slot for slot in range(SLOTS) if slot not in used and slot not in self._resting), SLOTS)

    def _progress(self, runs: Sequence[TaskRun], at: float) -> tuple[Command, ...]:
        """Let these tasks go on; all but those a copy was for can wait for the next event that is no copy."""
        commands: list[Command] = []
        for run in runs:
            run.touched = False
            if not run.faults:
                with confined(run):
                    commands.extend(self._move(run, at))
            commands.extend(self._faults(run))
        if self.deployment.stale and self.deployment.idle:
            commands.extend(self.deployment.begin(self.runs.values(), at, reread=self._reread))
            self._reread = False
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
        waited = at - run.claimed_at > self.settings.inventory_deadline
        if not self.fleet.settled and not waited:
            return ()
        if self.alternator.must_wait(run, self.runs.values()):
            return ()
        try:
            require_company(run, self.runs.values())
            if run.slot >= SLOTS:
                raise RefusedError(f"{SLOTS} tasks run already; wait until one ends, or cancel one")
            run.task = replace(run.task, request=resolve(self.fleet.topology, run.task.request))
            deadline = at + run.task.request.trace_time
            traffic = armed_task(self.fleet.topology, run.slot, run.task.request, deadline)
            self._require_one_of([source.bridge for source in traffic.sources])
        except VtraceError as error:
            run.failure = str(error)
            return self._ended(run, at)
        run.armed_traffic, run.promised_until = traffic, deadline
        run.copies_before = {bridge: known.copies.tally for bridge, known in self.fleet.states.items()}
        run.note(scope_note(self.fleet.topology, run.task.request))
        self._find_partners(run, traffic)
        run.stage, self.deployment.stale, self._reread = Stage.ARMING, True, True
        return (SaveTaskState(run.task.id, TaskState.ARMING, at, slot=run.slot),)

    def _find_partners(self, run: TaskRun, traffic: ArmedTask) -> None:
        """Whose packets may be this task's too: of those that run, and of those whose late copies may still come."""
        for other in self.runs.values():
            other.partners.discard(run.slot)
            if other is not run and other.armed_traffic is not None and may_share(traffic, other.armed_traffic):
                other.partners.add(run.slot)
                run.partners.add(other.slot)
        run.partners |= {slot for slot, rest in self._resting.items() if rest.concerns(traffic)}

    def _require_one_of(self, sources: Sequence[BridgeId]) -> None:
        """Traffic that no bridge up could color would only seem to be missing."""
        states = [self.fleet.states[bridge] for bridge in sources if bridge in self.fleet.states]
        if states and not any(state.up for state in states):
            reasons = [_why_down(state) for state in states[:NAMED_REASONS]]
            unnamed = len(states) - len(reasons)
            rest = (f"and {unnamed} more bridges do not answer",) if unnamed else ()
            raise InfrastructureError("; ".join((*reasons, *rest)))

    def _armed(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        problem = self.deployment.first_problem()
        if problem is not None or run.cancelled:
            run.failure = problem
            run.stage, self.deployment.stale = Stage.REMOVING, True
            return ()
        run.stage, run.armed_at, run.journal.began = Stage.COLLECTING, at, at
        counting = () if run.alternation is None else self.alternator.begin(run.alternation, at)
        return (SaveTaskState(run.task.id, TaskState.ARMED, at), *self.collection.armed(run), *counting)

    def _collect(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        if run.alternation is not None:
            return self.alternator.collect(run, run.alternation, at)
        commands = self.collection.progress(run, at)
        problem = self.deployment.first_problem()
        if problem is not None and self.deployment.idle and not self.deployment.arms:
            run.note(f"the bridges could not be instrumented anew while the trace ran: {problem}")
        over = run.full or at >= run.deadline or self._answered(run, at)
        if over or run.cancelled or run.invalidated:
            run.stage, run.closed_at, self.deployment.stale = Stage.CLOSING, at, True
            return (*commands, SaveTaskState(run.task.id, TaskState.DRAINING, at), *self._observe(run, Moment.DURING))
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
        commands = self.collection.progress(run, at)
        if not self.deployment.settled or (run.undecided and not run.cancelled):
            return commands
        run.stage, run.drained_at = Stage.DRAINING, at + self.settings.drain
        return (*commands, *self.collection.finish(run))

    def _drain(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        """Copies that are late may still change what was decided, and so may what bridges say in the end."""
        if run.alternation is not None:
            return self.alternator.finish(run, run.alternation, at)
        commands = self.collection.progress(run, at)
        if at < run.drained_at:
            return commands
        if not run.looked_back and not run.cancelled:
            run.looked_back = True
            return (*commands, *self.fleet.ask(self.fleet.carrying(), at))
        undecided = run.undecided or self.collection.naming.awaits(at) or self.fleet.owing
        if (undecided or run.searches.awaits(at)) and not run.cancelled:
            return commands
        kept = self.collection.finish(run)
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
        return (*self.collection.finish(run), *self.collection.with_costs(run), *self._ended(run, at))

    def _observe(self, run: TaskRun, moment: Moment) -> tuple[Command, ...]:
        states = (self.fleet.states[bridge] for bridge in run.scope if bridge in self.fleet.states)
        bridges = run.observation.ask((state.bridge for state in states if state.up), moment)
        return (ObserveServers(run.task.id, moment, bridges),) if bridges else ()

    def _ended(self, run: TaskRun, at: float) -> tuple[Command, ...]:
        run.stage = Stage.ENDED
        del self.runs[run.task.id]
        self._resting[run.slot] = Resting(at + self.settings.slot_quarantine, run.armed_traffic)
        erased: list[Command] = []
        for bridge, state in (*self.fleet.states.items(), *self.fleet.gone.items()):
            if state.left:
                state.owed.add(run.task.id)
            elif state.up and bridge in run.intended:
                erased.append(EraseIntents(bridge, (run.task.id,)))
        return (*erased, SaveTaskState(run.task.id, run.final_state, at, reason=run.failure or run.invalidated))


def _why_down(state: BridgeState) -> str:
    name, reason = str(state.bridge.id), state.reason or "it has not answered yet"
    return reason if name in reason else f"{name}: {reason}"
