"""Turns what a bridge has, or says of changed flows, into the end of the tasks whose flows somebody changed (trap T7).

A production controller that deletes what it does not know (a resync of Neutron's agent, ovn-controller connecting
again) deletes ours; one that modifies all that matches gives ours its own actions. From then on nobody there takes
marks off or logs, so nothing may be concluded from silence, and nobody may send marks there any more. A bridge that can
tells at once; others are looked at now and then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import BridgePlan, on_the_bridge
from vtrace_ovs.model.flow import ChangedFlow, Flow, FlowChange, FlowKey, FlowMod
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.brakes import brakes
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import FlowsChanged
from vtrace_ovs.session.runs import TaskRun

MOST_COOKIES = 3
_REMOVED = "while the trace ran: a controller that clears tables?"
_CHANGED = "while the trace ran: a controller that writes over what is there?"


@dataclass(frozen=True, slots=True)
class Staying:
    """The flows a bridge has (``carried``) and is to keep, whatever is on its way to it (``coming``).

    ``sources`` are by the slot of the task that they color packets of.
    """

    carried: BridgePlan
    coming: BridgePlan | None
    sinks: tuple[FlowMod, ...]
    sources: Mapping[int, tuple[FlowMod, ...]]

    @staticmethod
    def between(carried: BridgePlan, coming: BridgePlan | None) -> "Staying":
        """From one plan to the other."""
        flows = () if coming is None else on_the_bridge((*coming.sinks, *coming.sources))
        staying = {(flow.key, flow.cookie) for flow in flows}
        sinks = tuple(flow for flow in on_the_bridge(carried.sinks) if (flow.key, flow.cookie) in staying)
        sources: dict[int, tuple[FlowMod, ...]] = {}
        for flow in on_the_bridge(carried.sources):
            cookie = Cookie.of(flow.cookie)
            if cookie is not None and (flow.key, flow.cookie) in staying:
                sources[cookie.slot] = (*sources.get(cookie.slot, ()), flow)
        return Staying(carried, coming, sinks, sources)

    def expected(self, coloring: Iterable[int], at: float) -> tuple[FlowMod, ...]:
        """Those that cannot have timed out by now; ``coloring`` are the slots whose sources still have time."""
        if at >= self.carried.outlet_deadline:
            return ()
        return (*self.sinks, *(flow for slot in coloring for flow in self.sources.get(slot, ())))


def loss(expected: tuple[FlowMod, ...], ours: Iterable[Flow], removed: Iterable[FlowKey] = ()) -> str | None:
    """What is missing of the flows expected there, as a sentence without its subject; None when nothing is.

    Whoever deletes a flow of production by its match deletes our clone of it too. Where such a flow was ``removed``,
    its clone does not count: without both, traced packets fare as all others do.
    """
    there = {(flow.key, flow.cookie) for flow in ours}
    gone = [flow for flow in expected if (flow.key, flow.cookie) not in there]
    orphans = tuple(removed) if gone else ()
    missing = sum(not any(_clones(flow, original) for original in orphans) for flow in gone)
    if not missing:
        return None
    return f"somebody removed {missing} of our {len(expected)} flows {_REMOVED}"


def harm(expected: tuple[FlowMod, ...], changed: Iterable[ChangedFlow]) -> str | None:
    """What these changes did to the flows expected there, as a sentence without its subject; None for nothing."""
    there = {flow.key: flow.cookie for flow in expected}
    removed = any(flow.change is FlowChange.REMOVED and there.get(flow.key) == flow.cookie for flow in changed)
    if removed:
        return f"somebody removed flows of ours {_REMOVED}"
    altered = [flow for flow in changed if flow.change is not FlowChange.REMOVED and flow.key in there]
    if not altered:
        return None
    theirs = sorted({f"{flow.cookie:#x}" for flow in altered if flow.cookie != there[flow.key]})
    known = f" (with cookie {', '.join(theirs[:MOST_COOKIES])})" if theirs else ""
    return f"somebody changed flows of ours{known} {_CHANGED}"


def _clones(flow: FlowMod, original: FlowKey) -> bool:
    cookie = Cookie.of(flow.cookie)
    above = (flow.table_id, flow.priority) == (original.table_id, original.priority + 1)
    same = above and frozenset(original.match.fields) <= frozenset(flow.match.fields)
    return same and cookie is not None and cookie.kind is CookieKind.CLONE


class Wiping:
    """Watches over our flows. It ends the coloring of tasks that lost some, and leaves what remains to a transition."""

    def __init__(self, fleet: Fleet, deployment: Deployment) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._staying: dict[BridgeId, Staying] = {}

    def look(
        self, state: BridgeState, runs: Iterable[TaskRun], ours: Iterable[Flow], removed: frozenset[FlowKey]
    ) -> None:
        """A bridge was read: it has ``ours``, and lost these flows of production since it was last read."""
        if state.carried is None:
            return
        expected = self._expected(state, state.carried, runs, state.read_at)
        found = loss(expected, ours, removed)
        if found is not None:
            self._wiped(state, runs, found, state.read_at)

    def told(self, event: FlowsChanged, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """A bridge says what somebody changed: sources of the tasks concerned go at once, everywhere.

        Then its tables are read before it gets sinks again: those they were made from may be gone as well. A transition
        under way goes on without it.
        """
        state = self._fleet.states.get(event.bridge)
        running = [run for run in runs if run.instrumented]
        plan = None if state is None else state.carried or self._deployment.plan_coming_to(event.bridge)
        if state is None or plan is None:
            return ()
        found = harm(self._expected(state, plan, running, event.at), event.flows)
        if found is None:
            return ()
        self._wiped(state, running, found, event.at)
        self._fleet.version += 1
        self._deployment.reread = True
        ended = brakes(self._fleet, (run for run in running if state.bridge.id in run.scope))
        return (*ended, *self._deployment.bridge_lost(event.bridge, event.at))

    def _expected(
        self, state: BridgeState, plan: BridgePlan, runs: Iterable[TaskRun], at: float
    ) -> tuple[FlowMod, ...]:
        coloring = {run.slot for run in runs if run.coloring and at < run.promised_until}
        return self._stays(state.bridge.id, plan).expected(coloring, at)

    def _stays(self, bridge: BridgeId, plan: BridgePlan) -> Staying:
        """Asked at every reading, and the same until plans change."""
        coming, known = self._deployment.plan_coming_to(bridge), self._staying.get(bridge)
        if known is None or known.carried is not plan or known.coming is not coming:
            known = self._staying[bridge] = Staying.between(plan, coming)
        return known

    def _wiped(self, state: BridgeState, runs: Iterable[TaskRun], found: str, at: float) -> None:
        """Invalidate the tasks whose flows somebody changed, and count on nothing that may be left of them."""
        state.wiped, state.wiped_at = found, at
        for run in runs:
            if state.bridge.id in run.scope:
                run.invalidate(f"{state.bridge.id}: {found}")
        if self._deployment.idle:
            state.forsake()
