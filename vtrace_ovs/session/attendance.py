"""Turns what running tasks and left-overs need into the bridges a conversation is held with, and ends the others.

An idle OpenFlow connection costs ovs-vswitchd a poll and a read each time it looks at its bridges, which with netdev
ports is as often as it forwards packets. So nobody is connected who is not needed, but for a while: tasks come in rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.model.topology import BridgeId, ServiceController
from vtrace_ovs.session.bridges import BridgeState, Fleet
from vtrace_ovs.session.commands import Command, HangUp
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.session.settings import SessionSettings

REVIEW_INTERVAL = 0.25


@dataclass(slots=True)
class Attendance:
    """Who is connected. Whoever is to be read is called at once, by who reads; here it is seen who stays."""

    fleet: Fleet
    deployment: Deployment
    settings: SessionSettings
    _reviewed_at: float = 0.0

    def review(self, runs: Iterable[TaskRun], at: float) -> tuple[Command, ...]:
        """Time passed: now and then, call who is needed and not there, and hang up on who was not for so long."""
        if at - self._reviewed_at < REVIEW_INTERVAL:
            return ()
        return self.look(runs, at)

    def look(self, runs: Iterable[TaskRun], at: float) -> tuple[Command, ...]:
        """Do so now. Whoever does not answer and is not needed is forgotten at once: the next task asks anew."""
        self._reviewed_at = at
        needed = self._needed(runs)
        called = self.fleet.call(needed, at)
        idle = tuple(b for b, state in self.fleet.states.items() if state.called and b not in needed)
        over = tuple(b for b in idle if self._over(self.fleet.states[b], at))
        for bridge in over:
            self.fleet.states[bridge].hang_up()
        return (*((HangUp(over),) if over else ()), *called)

    def _over(self, state: BridgeState, at: float) -> bool:
        remote = isinstance(state.bridge.attachment, ServiceController)
        linger = self.settings.row_linger if remote else self.settings.linger
        return state.up is False or at - state.needed_at >= linger

    def _needed(self, runs: Iterable[TaskRun]) -> frozenset[BridgeId]:
        """Where tasks begin, where their packets may come, what is being read or changed, and what has left-overs."""
        ours = (b for b, state in self.fleet.states.items() if state.left or state.carried is not None)
        return frozenset[BridgeId](ours).union(self.deployment.engaged, *(run.places for run in runs))
