"""The nouns shared by the parts of one bridge's plan, and what every flow of ours looks like."""

from dataclasses import dataclass

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import ArmedTask, PrivateTables, Scene, Settings
from vtrace_ovs.instrumentation.probes import ProbeBook
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.actions import Action, ApplyActions, Instruction
from vtrace_ovs.model.flow import FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import Bridge


@dataclass(frozen=True, slots=True)
class Site:
    """One bridge while its plan is made."""

    bridge: Bridge
    tasks: tuple[ArmedTask, ...]
    scene: Scene
    settings: Settings
    state: StateField
    tables: PrivateTables
    book: ProbeBook

    def flow(
        self,
        place: tuple[int, int],
        match: Match,
        kind: CookieKind,
        instructions: tuple[Instruction, ...],
        slot: int = 0,
    ) -> FlowMod:
        """A flow of ours at ``place`` (table, priority); its hard timeout is set when the plan is complete."""
        cookie = Cookie(self.settings.generation, kind, slot).value
        return FlowMod(FlowModCommand.ADD, *place, match, cookie, instructions=instructions)


def apply(*actions: Action) -> tuple[Instruction, ...]:
    """Apply these actions, all of them ours."""
    return (ApplyActions(actions),)
