"""Turns running tasks and freshly read tables into what each bridge is to carry, and the intents that go with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.cookies import Cookie
from vtrace_ovs.instrumentation.marks import MarkPlan, code_points_in_use
from vtrace_ovs.instrumentation.plan import ArmedTask, BridgePlan, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.model.flow import BridgeTables, FlowMod
from vtrace_ovs.model.task import IntentDraft, IntentKind
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.bridges import BridgeState, Fleet, PlanBasis
from vtrace_ovs.session.reaching import Reaching, read_first
from vtrace_ovs.session.runs import Stage, TaskRun


@dataclass(slots=True)
class Planning:
    """Plans for the ``members``, by the tables of bridges that were read since ``begin``. It sends nothing.

    ``bases`` tells what the plans last ``wanted`` were made from; ``sent_by_tenants`` are code points of theirs.
    """

    fleet: Fleet
    settings: Settings
    marks: MarkPlan = field(default_factory=MarkPlan.of)
    sent_by_tenants: frozenset[int] = frozenset()
    members: tuple[TaskRun, ...] = ()
    bases: dict[BridgeId, PlanBasis] = field(default_factory=dict)
    _fresh: set[BridgeId] = field(default_factory=set)
    _reaching: Reaching = field(default_factory=Reaching)
    _since: float = 0.0

    def begin(self, runs: Iterable[TaskRun], at: float, *, reread: bool) -> None:
        """Plan for the instrumented ones of these tasks. ``reread``: only tables that are read from now on count."""
        self.members, self._since = tuple(run for run in runs if run.instrumented), at
        self._fresh = set() if reread else self._carrying()

    @property
    def arming(self) -> tuple[TaskRun, ...]:
        """The members nothing is installed for yet."""
        return tuple(run for run in self.members if run.stage is Stage.ARMING)

    @property
    def read(self) -> frozenset[BridgeId]:
        """The bridges whose tables count."""
        return frozenset(self._fresh)

    def was_read(self, bridge: BridgeId) -> None:
        """The tables of this bridge are those of the moment."""
        self._fresh.add(bridge)

    def _carrying(self) -> set[BridgeId]:
        return {bridge for bridge, state in self.fleet.states.items() if state.carried}

    def first_to_read(self) -> frozenset[BridgeId]:
        """All of few bridges; of many those where packets came by the last readings, and where anything of ours is."""
        left = (bridge for bridge, state in self.fleet.states.items() if state.left)
        tasks = tuple(run.traffic for run in self.members)
        fixed = frozenset(task.slot for task in tasks)
        found = self._reaching.scopes(self.fleet.topology, tasks, fixed, self.fleet.tables())
        guess = (task.shares for task in found)
        there = self.fleet.hopeful() if self.arming else self.fleet.live()
        return read_first(there, self._carrying().union(left, *guess))

    def spread(self) -> frozenset[BridgeId]:
        """Find out where packets of the tasks may come. Returns the bridges to be read before that can be said.

        What tasks that are being armed look like behind NAT is fixed with it. A task's scope never shrinks.
        Raises RefusedError as ``with_aliases``.
        """
        tables = self._fresh_tables()
        fixed = frozenset(run.slot for run in self.members if run.aliased)
        tasks = tuple(run.traffic for run in self.members)
        found = self._reaching.scopes(self.fleet.topology, tasks, fixed, tables)
        for run, task in zip(self.members, found, strict=True):
            run.armed_traffic = replace(task, shares={**run.traffic.shares, **task.shares})
            run.scope |= task.shares.keys()
        unread = self._scope().intersection(self.fleet.hopeful()).difference(self._fresh)
        for run in self.members if not unread else ():
            run.aliased = True
        return unread

    def _scope(self) -> frozenset[BridgeId]:
        return frozenset[BridgeId]().union(*(run.scope for run in self.members))

    def _fresh_tables(self) -> dict[BridgeId, BridgeTables]:
        return {bridge: tables for bridge, tables in self.fleet.tables().items() if bridge in self._fresh}

    def wanted(self) -> dict[BridgeId, BridgePlan | None]:
        """What bridges are to carry; those that neither carry anything nor shall are not mentioned.

        Raises RefusedError where flows of another run are in the way, or tables that cannot be instrumented.
        """
        live, scope = self.fleet.live(), self._scope()
        self.bases = {}
        states = self.fleet.states
        wanted: dict[BridgeId, BridgePlan | None] = {b: None for b in live if states[b].carried or states[b].left}
        if not self.members:
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
            used = self.sent_by_tenants.union(*(code_points_in_use(read) for read in tables.values()))
            self.marks = MarkPlan.counting(in_use=used) if self._counting() else MarkPlan.of(in_use=used)
            return
        joining = (read for bridge, read in tables.items() if self.fleet.states[bridge].carried is None)
        for code in sorted(frozenset[int]().union(*map(code_points_in_use, joining)).intersection(self.marks.codes)):
            yielded = self.marks.without(code)
            if yielded is None:
                raise RefusedError(
                    f"production flows match DSCP {code}, a code point of ours, and none is left instead"
                )
            self.marks = yielded

    def _counting(self) -> bool:
        """Whether packets are counted. A task that is counted is alone (``machine``)."""
        return any(run.task.request.interval is not None for run in self.members)

    def _plan_one(self, bridge_id: BridgeId, scene: Scene) -> BridgePlan | None:
        state = self.fleet.states[bridge_id]
        if state.tables is None:
            return state.carried
        basis = self._basis(state, scene)
        coloring = {run.slot for run in self.members if run.coloring}
        if state.carried is not None and state.planned_with is not None and not self._resumed(state, coloring):
            # Where nothing is to be colored any more, only what is on its way matters: no plan is made for new tables.
            over = not any(run.gathering for run in self.members)
            same = state.planned_with.slots == basis.slots if over else state.planned_with == basis
            if same:
                self.bases[bridge_id] = state.planned_with
                kept = tuple(flow for flow in state.carried.sources if _slot(flow) in coloring)
                return replace(state.carried, sources=kept)
        self.bases[bridge_id] = basis
        tasks = tuple(self._armed_task(run) for run in self.members)
        plan = plan_bridge(
            state.bridge, state.tables, tasks, scene, settings=self.settings, now=self._since, installed=state.carried
        )
        return plan if state.carried is None else _with_meters_of(state.carried, plan)

    def _resumed(self, state: BridgeState, coloring: set[int]) -> bool:
        """Whether a task colors here again that rested: its flows are made anew, as they last until its deadline."""
        there = set() if state.carried is None else {_slot(flow) for flow in state.carried.sources}
        here = (run.slot for run in self.members if any(one.bridge == state.bridge.id for one in run.traffic.sources))
        return any(slot in coloring and slot not in there for slot in here)

    def _basis(self, state: BridgeState, scene: Scene) -> PlanBasis:
        slots = frozenset(run.slot for run in self.members)
        fragmented = frozenset(run.slot for run in self.members if run.traffic.fragments)
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

    def intents(self, wanted: dict[BridgeId, BridgePlan | None]) -> tuple[IntentDraft, ...]:
        """What of this must be undone even after a crash: flows go by themselves in time, meters do not.

        What is written already stays written until its task ends, so it is not named again.
        """
        ovsdb_of = {node.name: node.ovsdb for node in self.fleet.topology.nodes}
        fresh: list[IntentDraft] = []
        for bridge, plan in wanted.items():
            undoing = () if plan is None else self._undoing(plan)
            for run, (kind, detail) in product(self.members, undoing):
                draft = IntentDraft(run.task.id, kind, str(bridge), ovsdb_of.get(bridge.node, ""), detail)
                written = run.intended.setdefault(bridge, set())
                fresh += () if draft in written else (draft,)
                written.add(draft)
        return tuple(fresh)

    def _undoing(self, plan: BridgePlan) -> tuple[tuple[IntentKind, str], ...]:
        """What is to be found again of a plan on a bridge."""
        return (
            (IntentKind.FLOWS, f"generation {self.settings.generation}"),
            (IntentKind.METER, ",".join(str(meter.meter_id) for meter in plan.meters)),
        )


def _with_meters_of(carried: BridgePlan, plan: BridgePlan) -> BridgePlan:
    """The plan with the meters that are there, if they let enough through: setting one loses count."""
    there, wanted = ({meter.meter_id: meter.rate for meter in one.meters} for one in (carried, plan))
    return replace(plan, meters=carried.meters) if there == wanted and carried.burst >= plan.burst else plan


def _slot(flow: FlowMod) -> int | None:
    cookie = Cookie.of(flow.cookie)
    return None if cookie is None else cookie.slot
