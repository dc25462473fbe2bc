"""Turns the difference between what bridges carry and what they shall carry into ordered, confirmed programs.

Order over all bridges, a barrier after each phase: meters and sinks in, sources in, sources out, sinks and meters out
(trap T10: a colored packet must never meet a VFD that does not know the color). Before the first, remains of an earlier
connection go where we are to be again; with the last, where we are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from vtrace_ovs.instrumentation.changes import PlanChanges, changes, wipe
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import FlowMod, MeterMod
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program


class Phase(IntEnum):
    """The phases, in order."""

    REMAINS_OUT = 0
    SINKS_IN = 1
    SOURCES_IN = 2
    SOURCES_OUT = 3
    SINKS_OUT = 4


def _mods(change: PlanChanges, phase: Phase) -> tuple[FlowMod | MeterMod, ...]:
    match phase:
        case Phase.REMAINS_OUT:
            return ()
        case Phase.SINKS_IN:
            return (*change.meters_set, *change.sinks_add)
        case Phase.SOURCES_IN:
            return change.sources_add
        case Phase.SOURCES_OUT:
            return change.sources_delete
        case Phase.SINKS_OUT:
            return (*change.sinks_delete, *change.meters_delete)


@dataclass(slots=True)
class Rollout:
    """One transition of all bridges. ``batch`` numbers its programs; ``errors`` collects refusals by bridge.

    ``touches`` holds a sink of ours per bridge, there from its first phase to its last. ``recolored`` is set once
    sources changed, and reset when packets of the old color have had time to arrive.
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
        touches = {bridge: plan.sinks[0] for bridge, plan in plans.items() if plan is not None and plan.sinks}
        return Rollout(batch, wanted, planned, remains, touches)

    @property
    def installs(self) -> bool:
        """Whether anything is put into the network, so that intents come first."""
        phases = (Phase.SINKS_IN, Phase.SOURCES_IN)
        return any(_mods(change, phase) for change in self.changes.values() for phase in phases)

    @property
    def must_drain(self) -> bool:
        """Whether sinks come out next, and packets colored for them until a moment ago may still be in flight."""
        return self.recolored and self._next() is Phase.SINKS_OUT

    def advance(self) -> tuple[Program, ...]:
        """The programs of the next phase that has any; none when all are done. Call when nothing is waited for."""
        phase = self._next()
        if phase is None:
            self.phase = Phase.SINKS_OUT
            return ()
        self.phase = phase
        self.recolored |= phase in (Phase.SOURCES_IN, Phase.SOURCES_OUT)
        programs = tuple(Program(bridge, self.batch, mods, self._touch(bridge)) for bridge, mods in self._due(phase))
        self.waiting = {program.bridge for program in programs}
        return programs

    def _touch(self, bridge: BridgeId) -> FlowMod | None:
        """What to send again so that the datapath is waited for, not only the tables.

        A cached flow that does not know a mark yet would carry it to the VM, and one that still colors would go on
        after the sinks are gone.
        """
        recolors = self.phase is Phase.SOURCES_IN and any(self._due(Phase.SINKS_OUT))
        return self.touches.get(bridge) if recolors or self.phase in (Phase.SINKS_IN, Phase.SOURCES_OUT) else None

    def _next(self) -> Phase | None:
        """The next phase in which any bridge is sent anything."""
        start = Phase.REMAINS_OUT if self.phase is None else self.phase + 1
        return next((phase for phase in tuple(Phase)[start:] if any(self._due(phase))), None)

    def _due(self, phase: Phase) -> Iterator[tuple[BridgeId, tuple[FlowMod | MeterMod, ...]]]:
        for bridge, change in sorted(self.changes.items()):
            mods = (*self._wipe(bridge, phase), *_mods(change, phase))
            if mods:
                yield bridge, mods

    def _wipe(self, bridge: BridgeId, phase: Phase) -> tuple[FlowMod | MeterMod, ...]:
        remains = self.remains.get(bridge, ())
        if not remains or phase is not (Phase.SINKS_OUT if self.wanted[bridge] is None else Phase.REMAINS_OUT):
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
