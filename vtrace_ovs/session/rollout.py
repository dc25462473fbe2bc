"""Turns the difference between what bridges carry and what they shall carry into ordered, confirmed programs.

Order over all bridges, a barrier after each phase: meters and sinks in, sources in, sources out, sinks and meters out
(trap T10: a colored packet must never meet a VFD that does not know the color). Where packets are colored already,
bridges come to know marks before others mark packets toward them, and forget them after: outlets of traced tasks come
late, and bridges that are to carry nothing are left last. Before the first phase, remains of an earlier connection go
where we are to be again; with the last, where we are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from vtrace_ovs.instrumentation.changes import PlanChanges, changes, wipe
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import FlowMod, MeterMod
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program


class Phase(IntEnum):
    """The phases, in order."""

    REMAINS_OUT = 0
    SINKS_IN = 1
    OUTLETS_IN = 2
    SOURCES_IN = 3
    SOURCES_OUT = 4
    SINKS_OUT = 5
    LEFT = 6


_AWAITED = frozenset({Phase.SINKS_IN, Phase.OUTLETS_IN, Phase.SOURCES_OUT})


def _outlets(change: PlanChanges, carried: BridgePlan | None) -> tuple[FlowMod, ...]:
    """The new flows of a bridge that mark packets of tasks it may be coloring already."""
    if carried is None or not change.sinks_add:
        return ()
    there = {flow.key: cookie for flow in carried.sinks if (cookie := _leaving(flow)) is not None}
    slots = {cookie.slot for cookie in there.values()}
    fresh = (flow for flow in change.sinks_add if flow.key not in there)
    return tuple(flow for flow in fresh if (cookie := _leaving(flow)) is not None and cookie.slot in slots)


def _leaving(flow: FlowMod) -> Cookie | None:
    cookie = Cookie.of(flow.cookie)
    return cookie if cookie is not None and cookie.kind is CookieKind.LEAVE else None


@dataclass(slots=True)
class Rollout:
    """One transition of all bridges. ``batch`` numbers its programs; ``errors`` collects refusals by bridge.

    ``touches`` holds a sink of ours per bridge, there from its first phase to its last. ``recolored`` is set once
    sources or outlets changed, and reset when packets of the old color have had time to arrive. ``outlets`` are the
    sinks that wait until every bridge has its others.
    """

    batch: int
    wanted: Mapping[BridgeId, BridgePlan | None]
    changes: dict[BridgeId, PlanChanges]
    remains: Mapping[BridgeId, tuple[BridgePlan, ...]]
    touches: Mapping[BridgeId, FlowMod]
    outlets: Mapping[BridgeId, tuple[FlowMod, ...]] = field(default_factory=dict)
    phase: Phase | None = None
    waiting: set[BridgeId] = field(default_factory=set)
    recolored: bool = False
    errors: dict[BridgeId, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def between(
        batch: int,
        carried: Mapping[BridgeId, BridgePlan | None],
        wanted: Mapping[BridgeId, BridgePlan | None],
        remains: Mapping[BridgeId, tuple[BridgePlan, ...]],
    ) -> "Rollout":
        """The rollout that makes each bridge carry what is wanted of it, and nothing of what ``remains`` there."""
        planned = {bridge: changes(carried.get(bridge), plan) for bridge, plan in wanted.items()}
        plans = {bridge: plan or carried.get(bridge) for bridge, plan in wanted.items()}
        touches = {bridge: plan.touch for bridge, plan in plans.items() if plan is not None}
        outlets = {bridge: _outlets(change, carried.get(bridge)) for bridge, change in planned.items()}
        return Rollout(batch, wanted, planned, remains, touches, outlets)

    @property
    def installs(self) -> bool:
        """Whether anything is put into the network, so that intents come first."""
        phases = (Phase.SINKS_IN, Phase.OUTLETS_IN, Phase.SOURCES_IN)
        return any(self._mods(bridge, phase) for bridge in self.changes for phase in phases)

    @property
    def must_drain(self) -> bool:
        """Whether sinks come out next, and packets colored for them until a moment ago may still be in flight."""
        return self.recolored and self._next() in (Phase.SINKS_OUT, Phase.LEFT)

    def advance(self) -> tuple[Program, ...]:
        """The programs of the next phase that has any; none when all are done. Call when nothing is waited for."""
        phase = self._next()
        if phase is None:
            self.phase = Phase.LEFT
            return ()
        self.phase = phase
        self.recolored |= phase in (Phase.SOURCES_IN, Phase.SOURCES_OUT, Phase.SINKS_OUT)
        touches = self.touches if self._settles(phase) else {}
        programs = tuple(
            Program(bridge, self.batch, mods, touches.get(bridge), self._burst(bridge, phase))
            for bridge, mods in self._due(phase)
        )
        self.waiting = {program.bridge for program in programs}
        return programs

    def _burst(self, bridge: BridgeId, phase: Phase) -> int | None:
        """The burst of the meter that caps copies of traced packets, if this phase sets it."""
        plan = self.wanted[bridge]
        if plan is None or phase is not Phase.SINKS_IN:
            return None
        sets = any(meter.meter_id == plan.meter_ids.traced for meter in self.changes[bridge].meters_set)
        return plan.burst if sets else None

    def _settles(self, phase: Phase) -> bool:
        """Whether a flow is sent again so that the datapath is waited for, not only the tables.

        A cached flow that does not know a mark yet would carry it to the VM, and one that still colors would go on
        after the sinks are gone.
        """
        if phase is Phase.SOURCES_IN:
            return any(self._due(Phase.SINKS_OUT)) or any(self._due(Phase.LEFT))
        return phase in _AWAITED or (phase is Phase.SINKS_OUT and any(self._due(Phase.LEFT)))

    def _next(self) -> Phase | None:
        """The next phase in which any bridge is sent anything."""
        start = Phase.REMAINS_OUT if self.phase is None else self.phase + 1
        return next((phase for phase in tuple(Phase)[start:] if any(self._due(phase))), None)

    def _due(self, phase: Phase) -> Iterator[tuple[BridgeId, tuple[FlowMod | MeterMod, ...]]]:
        for bridge in sorted(self.changes):
            mods = (*self._wipe(bridge, phase), *self._mods(bridge, phase))
            if mods:
                yield bridge, mods

    def _mods(self, bridge: BridgeId, phase: Phase) -> tuple[FlowMod | MeterMod, ...]:
        change, late = self.changes[bridge], self.outlets.get(bridge, ())
        match phase:
            case Phase.REMAINS_OUT:
                return ()
            case Phase.SINKS_IN:
                sinks = change.sinks_add if not late else tuple(flow for flow in change.sinks_add if flow not in late)
                return (*change.meters_set, *sinks)
            case Phase.OUTLETS_IN:
                return late
            case Phase.SOURCES_IN:
                return change.sources_add
            case Phase.SOURCES_OUT:
                return change.sources_delete
            case Phase.SINKS_OUT | Phase.LEFT:
                last = Phase.LEFT if self.wanted[bridge] is None else Phase.SINKS_OUT
                return (*change.sinks_delete, *change.meters_delete) if phase is last else ()

    def _wipe(self, bridge: BridgeId, phase: Phase) -> tuple[FlowMod | MeterMod, ...]:
        remains = self.remains.get(bridge, ())
        if not remains or phase is not (Phase.LEFT if self.wanted[bridge] is None else Phase.REMAINS_OUT):
            return ()
        everything = wipe(sorted({meter.meter_id for plan in remains for meter in plan.meters}))
        return (everything.sources_delete, everything.sinks_delete, *everything.meters_delete)

    def confirmed(self, bridge: BridgeId, errors: tuple[str, ...]) -> None:
        """A bridge's barrier came back."""
        self.waiting.discard(bridge)
        if errors:
            self.errors[bridge] = (*self.errors.get(bridge, ()), *errors)

    def lost(self, bridge: BridgeId) -> None:
        """A bridge went away; nothing more is expected of it."""
        self.waiting.discard(bridge)
        self.changes.pop(bridge, None)
