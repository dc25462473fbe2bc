"""Turns the set of running tasks into what each bridge carries: read, plan, write intents, roll out, confirm.

One transition at a time. A transition first reads bridges when tasks are being armed, so that the plan is made from the
tables of the moment, and goes on reading where these lead until nothing is new: only VFDs that traffic may come to are
armed. A refusal by the planner ends the arming tasks before the network is touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.changes import on_the_bridge
from vtrace_ovs.instrumentation.cookies import Cookie, is_ours
from vtrace_ovs.instrumentation.marks import MarkPlan, code_points_in_use
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.model.flow import BridgeTables, FlowMod, MeterMod, MeterModCommand
from vtrace_ovs.model.task import IntentDraft, IntentKind
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.bridges import BridgeState, Fleet, PlanBasis
from vtrace_ovs.session.commands import Command, EraseIntents, Program, ReadBridge, WriteIntents
from vtrace_ovs.session.events import BridgeRead, Programmed
from vtrace_ovs.session.faults import fail, in_words
from vtrace_ovs.session.reaching import Reaching, read_first
from vtrace_ovs.session.rollout import Rollout
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

    ``arms`` tells whether the last one was to arm tasks, so that its failure is theirs.
    """

    fleet: Fleet
    settings: Settings
    answer_deadline: float
    drain: float
    marks: MarkPlan = field(default_factory=MarkPlan.of)
    sent_by_tenants: frozenset[int] = frozenset()
    stale: bool = False
    move: Move = Move.IDLE
    arms: bool = False
    refusal: str | None = None
    errors: dict[BridgeId, tuple[str, ...]] = field(default_factory=dict)
    rollout: Rollout | None = None
    _reading: set[BridgeId] = field(default_factory=set)
    _fresh: set[BridgeId] = field(default_factory=set)
    _reaching: Reaching = field(default_factory=Reaching)
    _members: tuple[TaskRun, ...] = ()
    _bases: dict[BridgeId, PlanBasis] = field(default_factory=dict)
    _batch: int = 0
    _since: float = 0.0
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

    def begin(self, runs: Iterable[TaskRun], at: float, *, reread: bool) -> tuple[Command, ...]:
        """Start a transition to what these tasks need. ``reread``: plan from freshly read tables."""
        self.stale, self.refusal, self.errors, self._since = False, None, {}, at
        self._members = tuple(run for run in runs if run.instrumented)
        arming = [run for run in self._members if run.stage is Stage.ARMING]
        for run in arming:
            run.promised_until = at + run.task.request.trace_time
        self.arms = bool(arming)
        self._batch += 1
        self._asked_at = at
        carrying = frozenset(bridge for bridge, state in self.fleet.states.items() if state.carried)
        self._fresh = set() if reread else set(carrying)
        return self._read(self._first_to_read(carrying), at) if reread else self._plan(at)

    def _first_to_read(self, carrying: frozenset[BridgeId]) -> frozenset[BridgeId]:
        """All of few bridges; of many those where packets came by the last readings, and where anything of ours is."""
        left = (bridge for bridge, state in self.fleet.states.items() if state.left)
        tasks = tuple(run.traffic for run in self._members)
        fixed = frozenset(task.slot for task in tasks)
        guess = (scope for _, scope in self._reaching.scopes(self.fleet.topology, tasks, fixed, self.fleet.tables()))
        return read_first(self.fleet.live(), carrying.union(left, *guess))

    def _read(self, bridges: frozenset[BridgeId], at: float) -> tuple[Command, ...]:
        """Read what answers of these before planning."""
        asked = tuple(bridge for bridge in self.fleet.live() if bridge in bridges)
        if not asked:
            return self._plan(at)
        self.move, self._reading, self._asked_at = Move.READING, set(asked), at
        return tuple(ReadBridge(bridge) for bridge in asked)

    def bridge_read(self, event: BridgeRead) -> tuple[Command, ...]:
        """A bridge's tables arrived."""
        self._recover(event)
        self._fresh.add(event.bridge)
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
        if self.move is not Move.WRITING_INTENTS or batch != self._batch:
            return ()
        self.move = Move.ROLLING_OUT
        return self._advance(at)

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
        self._reading.discard(bridge)
        if self.move is Move.READING and not self._reading:
            return self._plan(at)
        if self.rollout is not None:
            self.rollout.lost(bridge)
            return self._advance(at)
        return ()

    def overdue(self, at: float) -> tuple[BridgeId, ...]:
        """The bridges that have kept a transition waiting for too long."""
        if self.move is Move.IDLE or at - self._asked_at < self.answer_deadline:
            return ()
        if self.move is Move.READING:
            return tuple(self._reading)
        return tuple(self.rollout.waiting) if self.rollout is not None else ()

    def _plan(self, at: float) -> tuple[Command, ...]:
        try:
            unread = self._spread()
            if unread:
                return self._read(unread, at)
            wanted = self._wanted()
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
        if self.rollout.installs:
            self.move = Move.WRITING_INTENTS
            return (WriteIntents(self._batch, self._drafts(wanted)),)
        self.move = Move.ROLLING_OUT
        return self._advance(at)

    def _not_planned(self, error: Exception) -> None:
        """The planner failed, a fault of ours: the tasks it was to arm fail; without any, bridges stay as they are."""
        self.move = Move.IDLE
        arming = [run for run in self._members if run.stage is Stage.ARMING]
        for run in arming:
            fail(run, error)
        if not arming:
            self.refusal = f"an error of vtrace itself: {in_words(error)}"
            self._members[0].faults.append(error)

    def _spread(self) -> frozenset[BridgeId]:
        """Find out where packets of the tasks may come; the bridges to be read before that can be said.

        What tasks that are being armed look like behind NAT is fixed with it. A task's scope never shrinks.
        """
        tables = self._fresh_tables()
        fixed = frozenset(run.slot for run in self._members if run.aliased)
        tasks = tuple(run.traffic for run in self._members)
        found = self._reaching.scopes(self.fleet.topology, tasks, fixed, tables)
        for run, (task, scope) in zip(self._members, found, strict=True):
            run.armed_traffic = task
            run.scope |= scope
        unread = self._scope().intersection(self.fleet.live()).difference(self._fresh)
        for run in self._members if not unread else ():
            run.aliased = True
        return unread

    def _scope(self) -> frozenset[BridgeId]:
        return frozenset[BridgeId]().union(*(run.scope for run in self._members))

    def _fresh_tables(self) -> dict[BridgeId, BridgeTables]:
        return {bridge: tables for bridge, tables in self.fleet.tables().items() if bridge in self._fresh}

    def _wanted(self) -> dict[BridgeId, BridgePlan | None]:
        """What bridges are to carry; those that neither carry anything nor shall are not mentioned."""
        live, scope = self.fleet.live(), self._scope()
        self._bases = {}
        states = self.fleet.states
        wanted: dict[BridgeId, BridgePlan | None] = {b: None for b in live if states[b].carried or states[b].left}
        if not self._members:
            return wanted
        self._refuse_strangers()
        self._choose_marks()
        scene = Scene(self.fleet.topology, self.fleet.armable() & scope, self.marks)
        return wanted | {bridge: self._plan_one(bridge, scene) for bridge in live if bridge in scope}

    def _refuse_strangers(self) -> None:
        stranger = next((b for b in self.fleet.live() if b in self._fresh and self.fleet.states[b].stranger), None)
        if stranger is not None:
            raise RefusedError(
                f"{stranger} carries flows of another run of this tool; let it end, or remove them: vtrace clean"
            )

    def _choose_marks(self) -> None:
        """Marks that no production flow asks for; they stay while anything carries them, as far as they can."""
        tables = self._fresh_tables()
        if not any(state.carried for state in self.fleet.states.values()):
            used = (code_points_in_use(read) for read in tables.values())
            self.marks = MarkPlan.of(in_use=self.sent_by_tenants.union(*used), colors=self._colors())
            return
        joining = (read for bridge, read in tables.items() if self.fleet.states[bridge].carried is None)
        for code in sorted(frozenset[int]().union(*map(code_points_in_use, joining)).intersection(self.marks.codes)):
            yielded = self.marks.without(code)
            if yielded is None:
                raise RefusedError(
                    f"production flows match DSCP {code}, a code point of ours, and none is left instead"
                )
            self.marks = yielded

    def _colors(self) -> int:
        """Two where packets are counted. A task that is counted is alone (``machine``)."""
        return 2 if any(run.task.request.interval is not None for run in self._members) else 1

    def _plan_one(self, bridge_id: BridgeId, scene: Scene) -> BridgePlan | None:
        state = self.fleet.states[bridge_id]
        if state.tables is None:
            return state.carried
        basis = self._basis(state, scene)
        coloring = {run.slot for run in self._members if run.coloring}
        if state.carried is not None and state.planned_with is not None:
            # Where nothing is colored any more, only what is on its way matters: no plan is made for new tables.
            same = state.planned_with.slots == basis.slots if not coloring else state.planned_with == basis
            if same:
                self._bases[bridge_id] = state.planned_with
                kept = tuple(flow for flow in state.carried.sources if _slot(flow) in coloring)
                return replace(state.carried, sources=kept)
        fewer = None
        if state.planned_with is not None and basis.slots < state.planned_with.slots:
            fewer = state.carried
        self._bases[bridge_id] = basis
        tasks = tuple(self._armed_task(run) for run in self._members)
        plan = plan_bridge(
            state.bridge, state.tables, tasks, scene, settings=self.settings, now=self._since, installed=state.carried
        )
        return plan if fewer is None else _with_meters_of(fewer, plan)

    def _basis(self, state: BridgeState, scene: Scene) -> PlanBasis:
        slots = frozenset(run.slot for run in self._members)
        fragmented = frozenset(run.slot for run in self._members if run.traffic.fragments)
        return PlanBasis(slots, state.tables_version, scene.marks, scene.armed, fragmented)

    def _armed_task(self, run: TaskRun) -> ArmedTask:
        """A task as the data plane shall see it; one that no longer colors has no sources."""
        sources = run.traffic.sources if run.coloring else ()
        interval = run.task.request.interval
        lease = None if interval is None else self.lease(interval)
        return replace(run.traffic, deadline=run.promised_until, sources=sources, lease=lease)

    def lease(self, interval: float) -> float:
        """How long (seconds) sources last that are sent again every ``interval``: nothing is colored long after us."""
        return interval + self.settings.source_margin

    def _drafts(self, wanted: dict[BridgeId, BridgePlan | None]) -> tuple[IntentDraft, ...]:
        """What must be undone even after a crash: flows go by themselves in time, meters do not."""
        ovsdb_of = {node.name: node.ovsdb for node in self.fleet.topology.nodes}
        for run in self._members:
            run.intended.update(bridge for bridge, plan in wanted.items() if plan is not None)
        return tuple(
            IntentDraft(run.task.id, kind, str(bridge), ovsdb_of.get(bridge.node, ""), detail)
            for bridge, plan in wanted.items()
            if plan is not None
            for run in self._members
            for kind, detail in (
                (IntentKind.FLOWS, f"generation {self.settings.generation}"),
                (IntentKind.METER, ",".join(str(meter.meter_id) for meter in plan.meters)),
            )
        )

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
                if _sets_meter(program, rollout.wanted[program.bridge]):
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
        state.carry(plan, self._bases.get(bridge), at)
        owed, state.owed = tuple(sorted(state.owed)), set()
        return (EraseIntents(bridge, owed),) if owed else ()


def _sets_meter(program: Program, plan: BridgePlan | None) -> bool:
    """Whether the meter that caps copies of traced packets counts from zero after this."""
    meters = (mod for mod in program.mods if isinstance(mod, MeterMod) and mod.command is not MeterModCommand.DELETE)
    return plan is not None and any(meter.meter_id == plan.meter_ids.traced for meter in meters)


def _with_meters_of(carried: BridgePlan, plan: BridgePlan) -> BridgePlan:
    """The plan with the meters that are there: tasks that end leave room, and setting one loses count."""
    there, wanted = ({meter.meter_id for meter in one.meters} for one in (carried, plan))
    return replace(plan, meters=carried.meters) if there == wanted else plan


def _slot(flow: FlowMod) -> int | None:
    cookie = Cookie.of(flow.cookie)
    return None if cookie is None else cookie.slot
