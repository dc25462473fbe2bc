"""The nouns shared by the parts of one bridge's plan, and what every flow of ours looks like."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.entrance import Entrance
from vtrace_ovs.instrumentation.plan import ArmedTask, Gate, PrivateTables, Scene, Settings
from vtrace_ovs.instrumentation.probes import ProbeBook
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.actions import Action, ApplyActions, Instruction, Meter
from vtrace_ovs.model.flow import FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import IPAddress, IpFamily
from vtrace_ovs.model.topology import Bridge


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Hard timeouts in seconds: of sinks, of those that have packets leave marked, of each task's sources by slot."""

    sinks: int
    outlets: int
    sources: Mapping[int, int]

    def of(self, kind: CookieKind, slot: int) -> int:
        """How long a flow of this kind stays when nobody removes it."""
        if kind.is_source:
            return self.sources[slot]
        return self.outlets if kind is CookieKind.LEAVE else self.sinks


@dataclass(frozen=True, slots=True)
class Site:
    """One bridge while its plan is made. ``destinations`` are the tunnels its flows may point at, None any."""

    bridge: Bridge
    tasks: tuple[ArmedTask, ...]
    scene: Scene
    settings: Settings
    state: StateField
    tables: PrivateTables
    book: ProbeBook
    lifetimes: Lifetimes
    entrance: Entrance
    destinations: frozenset[IPAddress] | None = None

    @property
    def families(self) -> tuple[IpFamily, ...]:
        """Those of the tasks: packets of another carry no mark of ours."""
        wanted = {entry.family for task in self.tasks for entry in task.filters}
        return tuple(family for family in IpFamily if family in wanted)

    @property
    def counting(self) -> bool:
        """Whether packets are counted by color, and none is copied."""
        return self.scene.marks.colors > 1

    @property
    def colors(self) -> tuple[int | None, ...]:
        """The colors that traced packets are told apart by; one None where they are not."""
        return tuple(range(self.scene.marks.colors)) if self.counting else (None,)

    def count(self, gate: Gate, color: int | None) -> tuple[Instruction, ...]:
        """Count packets of a color at a gate, in the datapath itself; nothing where there are no colors."""
        return () if color is None else (Meter(self.book.meters.counting(gate, color)),)

    def flow(
        self,
        place: tuple[int, int],
        match: Match,
        kind: CookieKind,
        instructions: tuple[Instruction, ...],
        slot: int = 0,
    ) -> FlowMod:
        """A flow of ours at ``place`` (table, priority)."""
        cookie = _cookie(self.settings.generation, kind, slot)
        lifetime = self.lifetimes.of(kind, slot)
        return FlowMod(FlowModCommand.ADD, *place, match, cookie, instructions=instructions, hard_timeout=lifetime)


@lru_cache(maxsize=4096)  # many flows have few cookies
def _cookie(generation: int, kind: CookieKind, slot: int) -> int:
    return Cookie(generation, kind, slot).value


NOWHERE = 0
"""No port has this number: what enters table ``leave`` by it leaves by an output we do not know, ``turn``: by none."""


def apply(*actions: Action) -> tuple[Instruction, ...]:
    """Apply these actions, all of them ours; without any, do nothing."""
    return (ApplyActions(actions),) if actions else ()
