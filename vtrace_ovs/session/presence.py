"""Turns bridges that come, hang and go into what is known of the fleet, and into transitions where that matters."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import assert_never

from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.commands import Command, HangUp
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import (
    BridgeDown,
    BridgeRead,
    BridgeUp,
    CountersRead,
    Event,
    InventoryRead,
    Programmed,
)
from vtrace_ovs.session.runs import Stage, TaskRun
from vtrace_ovs.session.settings import SessionSettings

NAMED_REASONS = 3
"""So many bridges that do not answer are named, with the reason; the others are counted."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is there. It never decides what a bridge is to carry, only that this must be decided anew."""

    fleet: Fleet
    deployment: Deployment
    settings: SessionSettings

    def told(self, event: InventoryRead | BridgeUp | BridgeDown, runs: Collection[TaskRun]) -> tuple[Command, ...]:
        """The inventory changed, or a connection did: of a bridge that was hung up on, old news is no news."""
        match event:
            case InventoryRead(at, topology, problems):
                return self._inventory(topology, problems, at, runs)
            case BridgeUp(at, bridge, dpid):
                return self._up(bridge, dpid, at, runs) if self._called(bridge) else ()
            case BridgeDown(at, bridge, reason):
                if not self._called(bridge):
                    return ()
                self.fleet.states[bridge].closed_at = at
                return self._down(bridge, reason, at, runs)
            case _:
                assert_never(event)

    def _called(self, bridge: BridgeId) -> bool:
        state = self.fleet.states.get(bridge)
        return state is not None and state.called

    def outlived(self, event: Event) -> bool:
        """Whether this is what a bridge said over a connection that has closed: that news came ahead of it."""
        if not isinstance(event, BridgeUp | BridgeRead | CountersRead | Programmed):
            return False
        state = self.fleet.states.get(event.bridge)
        return state is not None and event.at < state.closed_at

    def answered(self, bridge: BridgeId, at: float, runs: Collection[TaskRun]) -> tuple[Command, ...]:
        """A bridge answers; one that we gave up on does so after all, over the same connection."""
        state = self.fleet.states.get(bridge)
        if state is not None and state.up is False and state.dpid is not None:
            return self._up(bridge, state.dpid, at, runs)
        return ()

    def overdue(self, at: float, runs: Collection[TaskRun]) -> tuple[Command, ...]:
        """Give up on bridges that have kept us waiting for too long."""
        commands: list[Command] = []
        patience = self.deployment.patience
        silent = self.fleet.silent(at, patience)
        for bridge in dict.fromkeys((*self.deployment.overdue(at), *silent)):
            reason = f"ovs-vswitchd did not answer within {patience(bridge):g} s"
            commands.extend(self._down(bridge, reason, at, runs))
        return tuple(commands)

    def peek(self, at: float, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """While packets are collected, look now and then whether bridges still have what they should."""
        collecting = any(run.stage is Stage.COLLECTING for run in runs)
        return self.fleet.peek(at, self.settings.peek_interval) if collecting and self.deployment.settled else ()

    def require_one_of(self, sources: Iterable[BridgeId]) -> None:
        """Traffic that no bridge up could color would only seem to be missing: that is an InfrastructureError."""
        states = [self.fleet.states[bridge] for bridge in sources if bridge in self.fleet.states]
        if states and not any(state.up for state in states):
            reasons = [_why_down(state) for state in states[:NAMED_REASONS]]
            unnamed = len(states) - len(reasons)
            rest = (f"and {unnamed} more bridges do not answer",) if unnamed else ()
            raise InfrastructureError("; ".join((*reasons, *rest)))

    def _inventory(
        self, topology: Topology, problems: tuple[str, ...], at: float, runs: Iterable[TaskRun]
    ) -> tuple[Command, ...]:
        named = {bridge.id for bridge in topology.vfds()}
        vanished = [state for bridge, state in self.fleet.states.items() if bridge not in named]
        called = tuple(state.bridge.id for state in vanished if state.called)
        commands: list[Command] = [HangUp(called)] if called else []
        for state in vanished:
            state.hang_up()
            commands.extend(self.deployment.bridge_lost(state.bridge.id, at))
        changed = bool(vanished) or not named <= self.fleet.states.keys()
        self.fleet.adopt(topology, problems)
        self.deployment.stale |= changed and any(run.instrumented for run in runs)
        return tuple(commands)

    def _up(self, bridge: BridgeId, dpid: int, at: float, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """One that is being waited for is read; to others of ours, what they are to carry comes again."""
        state = self.fleet.states[bridge]
        running = [run for run in runs if run.instrumented]
        if state.up is False or any(bridge in run.armed_on for run in running):
            state.up_at = at
        state.up, state.dpid, state.reason = True, dpid, ""
        # What was asked of it before is not answered any more.
        state.asked_at, state.owes, state.ask_again = state.read_at, False, False
        self.fleet.version += 1
        asked = self.deployment.bridge_up(bridge, at)
        if not asked and (state.left or any(bridge in run.scope for run in running)):
            self.deployment.stale = self.deployment.reread = True
        return asked

    def _down(self, bridge: BridgeId, reason: str, at: float, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """Nobody may mark packets toward it: when it comes back, it takes no marks off until it is armed again."""
        state = self.fleet.states.get(bridge)
        if state is not None:
            state.up, state.reason = False, reason.removeprefix(f"{bridge}: ")
            self.fleet.version += 1
            marked = any(run.gathering for run in runs)  # or will be: those that rest or are being armed
            self.deployment.stale |= marked and self.deployment.plan_coming_to(bridge) is not None
        return self.deployment.bridge_lost(bridge, at)


def _why_down(state: BridgeState) -> str:
    name, reason = str(state.bridge.id), state.reason or "it has not answered yet"
    return reason if name in reason else f"{name}: {reason}"
