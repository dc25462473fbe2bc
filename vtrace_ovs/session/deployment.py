"""Turns the set of running tasks into what each bridge carries: read, plan, write intents, roll out, confirm.

One transition at a time. A transition first reads bridges when tasks are being armed, so that the plan is made from the
tables of the moment, and goes on reading where these lead until nothing is new: only VFDs that traffic may come to are
armed. A refusal by the planner ends the arming tasks before the network is touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.cookies import is_ours, only_slot
from vtrace_ovs.instrumentation.plan import BridgePlan, on_the_bridge
from vtrace_ovs.instrumentation.watching import watches
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.bridges import Fleet
from vtrace_ovs.session.commands import Command, EraseIntents, ReadBridge, WatchFlows, WriteIntents
from vtrace_ovs.session.events import BridgeRead, Programmed
from vtrace_ovs.session.faults import fail, in_words
from vtrace_ovs.session.planning import Planning
from vtrace_ovs.session.rollout import Phase, Rollout
from vtrace_ovs.session.runs import Stage, TaskRun


class Move(Enum):
    """What the running transition is waiting for."""

    IDLE = "idle"
    READING = "reading"
    WRITING_INTENTS = "writing intents"
    ROLLING_OUT = "rolling out"
    DRAINING = "draining"


@dataclass(slots=True)
class Deployment:
    """What bridges carry for us, and the transition under way. ``stale`` asks for a transition.

    ``reread`` asks that it be planned from freshly read tables; ``arms`` tells whether the last was to arm tasks, so
    that its failure is theirs.
    """

    fleet: Fleet
    planning: Planning
    answer_deadline: float
    parting_deadline: float
    drain: float
    stale: bool = False
    reread: bool = False
    move: Move = Move.IDLE
    arms: bool = False
    refusal: str | None = None
    errors: dict[BridgeId, tuple[str, ...]] = field(default_factory=dict)
    rollout: Rollout | None = None
    _reading: set[BridgeId] = field(default_factory=set)
    _batch: int = 0
    _asked_at: float = 0.0
    _resume_at: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether no transition is under way."""
        return self.move is Move.IDLE

    @property
    def settled(self) -> bool:
        """Whether the bridges carry what was last asked for."""
        return self.idle and not self.stale

    def first_problem(self) -> str | None:
        """Why the last transition did not install what was asked for: a refusal of ours, or of a bridge."""
        refused = (f"{bridge}: {errors[0]}" for bridge, errors in self.errors.items())
        return self.refusal or next(refused, None)

    def plans_on(self, bridge: BridgeId) -> tuple[BridgePlan, ...]:
        """The plans a copy from this bridge may be of: the one on its way there, the one there, and any left there."""
        state = self.fleet.states.get(bridge)
        coming = self.rollout.wanted.get(bridge) if self.rollout is not None else None
        there = () if state is None else (state.carried, *state.left)
        return tuple(plan for plan in (coming, *there) if plan is not None)

    def plan_coming_to(self, bridge: BridgeId) -> BridgePlan | None:
        """What a bridge will carry once the rollout under way is over; what it carries when there is none."""
        if self.rollout is not None and bridge in self.rollout.wanted:
            return self.rollout.wanted[bridge]
        return self.fleet.states[bridge].carried

    @property
    def engaged(self) -> frozenset[BridgeId]:
        """The bridges that the transition under way reads, has read to plan by, or changes."""
        read = self.planning.read if self.move is Move.READING else frozenset[BridgeId]()
        return read.union(self._reading, () if self.rollout is None else self.rollout.changes)

    def begin(self, runs: Iterable[TaskRun], at: float) -> tuple[Command, ...]:
        """Start a transition to what these tasks need."""
        reread = self.reread
        self.stale, self.reread, self.refusal, self.errors = False, False, None, {}
        self.planning.begin(runs, at, reread=reread)
        for run in self.planning.arming:
            run.promised_until = at + run.task.request.trace_time
        self.arms = bool(self.planning.arming)
        self._batch += 1
        self._asked_at = at
        return self._read(self.planning.first_to_read(), at) if reread else self._plan(at)

    def _read(self, bridges: frozenset[BridgeId], at: float) -> tuple[Command, ...]:
        """Read what answers of these before planning; who is not connected, as soon as that is known."""
        asked = tuple(bridge for bridge in self.fleet.hopeful() if bridge in bridges)
        if not asked:
            return self._plan(at)
        self.move, self._reading, self._asked_at = Move.READING, set(asked), at
        here = (bridge for bridge in asked if self.fleet.states[bridge].up)
        return (*self.fleet.call(self._reading, at), *(ReadBridge(bridge) for bridge in here))

    def bridge_up(self, bridge: BridgeId, at: float) -> tuple[Command, ...]:
        """A bridge is connected: it is read, if that is what a transition waits for."""
        if self.move is not Move.READING or bridge not in self._reading:
            return ()
        self._asked_at = at
        return (ReadBridge(bridge),)

    def bridge_read(self, event: BridgeRead) -> tuple[Command, ...]:
        """A bridge's tables arrived."""
        self._recover(event)
        self.planning.was_read(event.bridge)
        self._reading.discard(event.bridge)
        if self.move is Move.READING and not self._reading:
            return self._plan(event.at)
        return ()

    def _recover(self, event: BridgeRead) -> None:
        """Flows that outlived a lost connection are counted on again when a whole plan is there, and nothing else."""
        state = self.fleet.states.get(event.bridge)
        if state is None or not state.left or state.carried is not None:
            return
        meters = {entry.meter_id for entry in event.tables.meters}
        there = {(flow.key, flow.cookie) for flow in event.tables.flows if is_ours(flow.cookie)}
        for plan in state.left:
            flows = {(flow.key, flow.cookie) for flow in on_the_bridge((*plan.sinks, *plan.sources))}
            if flows == there and meters.issuperset(meter.meter_id for meter in plan.meters):
                state.carried, state.left = plan, ()
                return

    def intents_written(self, batch: int, at: float) -> tuple[Command, ...]:
        """The intents of the running transition are safe."""
        if self.rollout is None or self.move is not Move.WRITING_INTENTS or batch != self._batch:
            return ()
        return self._roll_out(self.rollout, at)

    def _roll_out(self, rollout: Rollout, at: float) -> tuple[Command, ...]:
        """Flows are watched from before they come until after they have gone."""
        self.move = Move.ROLLING_OUT
        plans = ((bridge, plan) for bridge, plan in rollout.wanted.items() if plan is not None)
        watched = tuple(WatchFlows(bridge, watches(plan)) for bridge, plan in plans if bridge in rollout.changes)
        return (*watched, *self._advance(at))

    def drained(self, at: float) -> tuple[Command, ...]:
        """Time passed: go on with a transition that waited for packets in flight (trap T10)."""
        if self.move is not Move.DRAINING or at < self._resume_at:
            return ()
        self.move = Move.ROLLING_OUT
        return self._advance(at)

    def programmed(self, event: Programmed) -> tuple[Command, ...]:
        """A bridge confirmed a phase."""
        if self.rollout is None or event.batch != self.rollout.batch:
            return ()
        if event.bridge in self.fleet.states:
            self.fleet.states[event.bridge].copies.confirmed()
        self.rollout.confirmed(event.bridge, event.errors)
        return self._advance(event.at)

    def bridge_lost(self, bridge: BridgeId, at: float) -> tuple[Command, ...]:
        """A bridge stopped answering: nothing it may carry is counted on, and nothing is expected of it."""
        state = self.fleet.states.get(bridge)
        if state is not None:
            sent = self.rollout is not None and bridge in self.rollout.changes
            state.forsake(self.rollout.wanted[bridge] if sent and self.rollout is not None else None)
        if bridge in self._reading:
            self._reading.discard(bridge)
            self._asked_at = at
        if self.move is Move.READING and not self._reading:
            return self._plan(at)
        if self.rollout is not None:
            self.rollout.lost(bridge)
            return self._advance(at)
        return ()

    def colors(self, run: TaskRun) -> bool:
        """Whether its packets may be colored now: its sources are there, or have been sent.

        They are there before it is known to be armed where one transition follows the other.
        """
        if not run.coloring or run.stage is Stage.COLLECTING:
            return run.coloring
        phase = None if self.rollout is None else self.rollout.phase
        sent = phase is not None and phase >= Phase.SOURCES_IN and run in self.planning.arming
        plans = (
            self.fleet.states[one.bridge].carried for one in run.traffic.sources if one.bridge in self.fleet.states
        )
        return sent or any(only_slot(flow.cookie) == run.slot for plan in plans if plan for flow in plan.sources)

    def let_go(self, run: TaskRun) -> tuple[EraseIntents, ...]:
        """A task has ended: its intents are erased, later where something of ours may be left."""
        erased: list[EraseIntents] = []
        for bridge, state in (*self.fleet.states.items(), *self.fleet.gone.items()):
            if state.left:
                state.owed.add(run.task.id)
            elif state.up is not False and bridge in run.intended:
                erased.append(EraseIntents(bridge, (run.task.id,)))
        return tuple(erased)

    def overdue(self, at: float) -> tuple[BridgeId, ...]:
        """The bridges that have kept a transition waiting for too long."""
        if self.move is Move.IDLE:
            return ()
        rolling_out = frozenset() if self.rollout is None else frozenset(self.rollout.waiting)
        waiting = frozenset(self._reading) if self.move is Move.READING else rolling_out
        return tuple(bridge for bridge in waiting if at - self._asked_at >= self.patience(bridge))

    def patience(self, bridge: BridgeId) -> float:
        """How long its answer is waited for: longer where packets may get our marks, as others would forget them."""
        state, rollout = self.fleet.states.get(bridge), self.rollout
        plans = [] if state is None else [state.carried]
        if rollout is not None and rollout.phase is not None and rollout.phase >= Phase.SOURCES_IN:
            plans.append(rollout.wanted.get(bridge))
        colors = any(plan is not None and plan.sources for plan in plans)
        return self.parting_deadline if colors else self.answer_deadline

    def _plan(self, at: float) -> tuple[Command, ...]:
        try:
            unread = self.planning.spread()
            if unread:
                return self._read(unread, at)
            wanted = self.planning.wanted()
        except RefusedError as refused:
            self.refusal = str(refused)
            self.move = Move.IDLE
            return ()
        except Exception as error:  # noqa: BLE001 - what cannot be planned must not end tasks that run already
            self._not_planned(error)
            return ()
        carried = {bridge: state.carried for bridge, state in self.fleet.states.items()}
        remains = {bridge: state.left for bridge, state in self.fleet.states.items()}
        self.rollout = Rollout.between(self._batch, carried, wanted, remains)
        intents = self.planning.intents(wanted) if self.rollout.installs else ()
        if intents:
            self.move = Move.WRITING_INTENTS
            return (WriteIntents(self._batch, intents),)
        return self._roll_out(self.rollout, at)

    def _not_planned(self, error: Exception) -> None:
        """The planner failed, a fault of ours: the tasks it was to arm fail; without any, bridges stay as they are."""
        self.move = Move.IDLE
        for run in self.planning.arming:
            fail(run, error)
        if not self.planning.arming:
            self.refusal = f"an error of vtrace itself: {in_words(error)}"
            self.planning.members[0].faults.append(error)

    def _advance(self, at: float) -> tuple[Command, ...]:
        rollout = self.rollout
        if rollout is None or rollout.waiting or self.move is not Move.ROLLING_OUT:
            return ()
        if rollout.must_drain:
            rollout.recolored, self.move, self._resume_at = False, Move.DRAINING, at + self.drain
            return ()
        programs = rollout.advance()
        if programs:
            self._asked_at = at
            for program in programs:
                if program.burst is not None:  # the meter counts from zero then
                    self.fleet.states[program.bridge].copies.set_anew()
            return programs
        self.rollout, self.errors, self.move = None, rollout.errors, Move.IDLE
        self.fleet.version += 1
        done = [bridge for bridge in rollout.wanted if bridge in rollout.changes and bridge in self.fleet.states]
        carried = tuple(command for bridge in done for command in self._carries(bridge, rollout.wanted[bridge], at))
        blind = [bridge for bridge in done if (state := self.fleet.states[bridge]).copies.blind and state.up]
        return (*carried, *self.fleet.ask(blind, at))

    def _carries(self, bridge: BridgeId, plan: BridgePlan | None, at: float) -> tuple[Command, ...]:
        """A bridge carries this plan now; what a refusal may have kept there is remembered."""
        state = self.fleet.states[bridge]
        refused = bridge in self.errors and plan is None
        if refused:
            state.forsake()
            return ()
        state.carry(plan, self.planning.bases.get(bridge), at)
        unwatched = (WatchFlows(bridge, ()),) if plan is None else ()
        owed, state.owed = tuple(sorted(state.owed)), set()
        return (*unwatched, *((EraseIntents(bridge, owed),) if owed else ()))
