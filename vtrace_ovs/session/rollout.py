"""Turns the difference between what bridges carry and what they shall carry into ordered, confirmed programs.

Order over all bridges, a barrier after each phase: meters and sinks in, relays in, sources in; sources out, relays out,
sinks and meters out (trap T10: a colored packet must never meet a VFD that does not know the color). Sinks know which
marks to take off; relays, the flows that have packets leave with the next mark, come when every bridge has its sinks,
and go before any loses them: tenants may forge marks, so not even the first and the last bridge of a way may know of
them alone. Before the first phase, remains of an earlier connection go where we are to be again; with the last, where
we are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import assert_never

from vtrace_ovs.instrumentation.changes import PlanChanges, changes, wipe
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import FlowMod, MeterMod
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program


class Phase(IntEnum):
    """The phases, in order."""

    REMAINS_OUT = 0
    SINKS_IN = 1
    RELAYS_IN = 2
    SOURCES_IN = 3
    SOURCES_OUT = 4
    RELAYS_OUT = 5
    SINKS_OUT = 6
    OVER = 7


_MARKING = frozenset({Phase.RELAYS_IN, Phase.SOURCES_IN, Phase.SOURCES_OUT, Phase.RELAYS_OUT})
"""What changes which marks packets get."""

_AWAITED = frozenset({Phase.SINKS_IN, Phase.RELAYS_IN, Phase.SOURCES_OUT, Phase.RELAYS_OUT})


@dataclass(slots=True)
class Rollout:
    """One transition of all bridges. ``batch`` numbers its programs; ``errors`` collects refusals by bridge.

    ``touches`` holds a sink of ours per bridge, there from its first phase to its last. ``recolored`` is set once
    sources or relays changed, and reset when packets with the old marks have had time to arrive.
    """

    batch: int
    wanted: Mapping[BridgeId, BridgePlan | None]
    changes: dict[BridgeId, PlanChanges]
    remains: Mapping[BridgeId, tuple[BridgePlan, ...]]
    touches: Mapping[BridgeId, FlowMod]
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
        return Rollout(batch, wanted, planned, remains, touches)

    @property
    def installs(self) -> bool:
        """Whether anything is put into the network, so that intents come first."""
        phases = (Phase.SINKS_IN, Phase.RELAYS_IN, Phase.SOURCES_IN)
        return any(self._mods(bridge, phase) for bridge in self.changes for phase in phases)

    @property
    def must_drain(self) -> bool:
        """Whether relays or sinks come out next, and packets marked for them until a moment ago may be in flight."""
        return self.recolored and self._next() in (Phase.RELAYS_OUT, Phase.SINKS_OUT)

    def advance(self) -> tuple[Program, ...]:
        """The programs of the next phase that has any; none when all are done. Call when nothing is waited for."""
        phase = self._next()
        if phase is None:
            self.phase = Phase.OVER
            return ()
        self.phase = phase
        self.recolored |= phase in _MARKING
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
            return any(self._due(Phase.RELAYS_OUT)) or any(self._due(Phase.SINKS_OUT))
        return phase in _AWAITED

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
        change = self.changes[bridge]
        match phase:
            case Phase.REMAINS_OUT | Phase.OVER:
                return ()
            case Phase.SINKS_IN:
                return (*change.meters_set, *change.sinks_add)
            case Phase.RELAYS_IN:
                return change.relays_add
            case Phase.SOURCES_IN:
                return change.sources_add
            case Phase.SOURCES_OUT:
                return change.sources_delete
            case Phase.RELAYS_OUT:
                return change.relays_delete
            case Phase.SINKS_OUT:
                return (*change.sinks_delete, *change.meters_delete)
            case _:
                assert_never(phase)

    def _wipe(self, bridge: BridgeId, phase: Phase) -> tuple[FlowMod | MeterMod, ...]:
        remains = self.remains.get(bridge, ())
        if not remains or phase is not (Phase.SINKS_OUT if self.wanted[bridge] is None else Phase.REMAINS_OUT):
            return ()
        everything = wipe(sorted({meter.meter_id for plan in remains for meter in plan.meters}))
        return (*everything.marking_delete, everything.sinks_delete, *everything.meters_delete)

    def confirmed(self, bridge: BridgeId, errors: tuple[str, ...]) -> None:
        """A bridge's barrier came back."""
        self.waiting.discard(bridge)
        if errors:
            self.errors[bridge] = (*self.errors.get(bridge, ()), *errors)

    def lost(self, bridge: BridgeId) -> None:
        """A bridge went away; nothing more is expected of it."""
        self.waiting.discard(bridge)
        self.changes.pop(bridge, None)
