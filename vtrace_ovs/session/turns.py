"""Turns copies that come too fast, and bridges that go, into pauses: tasks rest, and color again when they may.

A copy that is lost costs a switch what one costs that is taken, and of a packet with a lost copy nothing is proven. So
of traffic that is too fast, packets are colored in short bursts, of one task after the other where several trace it;
of some together, where a burst has more packets than each of them misses.
A VFD that goes may be back, without our flows, before others are told to send it no marks: until they are, what comes
to it is not colored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.brakes import brakes
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.events import CopiesCrowded
from vtrace_ovs.session.runs import TaskRun

PAUSE = 0.2
"""So long (seconds) the queues of bridges empty, and our meters fill, before the next task colors again."""

LATE = 0.1
"""So long (seconds) after coloring was to end, copies still come of packets that were colored before."""

RESTED = "traffic came faster than copies of it can be taken, so its packets were colored in short bursts"


@dataclass(slots=True)
class Turns:
    """Which tasks rest, in the order in which they will go on; ``_since`` is when last one rested or went on.

    ``_halted`` rest because a bridge went. ``_turn`` are those that went on last, and how many packets each
    had then; ``_burst`` is how many packets a burst brought all of them.
    """

    deployment: Deployment
    _resting: list[int] = field(default_factory=list)
    _halted: list[int] = field(default_factory=list)
    _turn: dict[int, int] = field(default_factory=dict)
    _burst: int = 0
    _rested_at: float = -inf
    _since: float = -inf

    def crowded(self, event: CopiesCrowded, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """Copies come too fast. It is told before they are looked at, so whose they are may not be known.

        Then every task that colors what may come to that bridge rests; those that saw no packet go on together, after
        the pause.
        """
        if event.at - self._rested_at < LATE:
            return ()
        coloring = self._coloring(event.bridge, runs)
        crowd = [run for run in coloring if run.packets] or coloring
        for run in sorted((run for run in crowd if not run.full), key=_missing):
            run.resting = self.deployment.stale = True
            self._resting.append(run.task.id)
        if crowd:
            self._rested_at = self._since = event.at
        return tuple(brakes(self.deployment.fleet, crowd))

    def lost(self, bridge: BridgeId, runs: Iterable[TaskRun]) -> tuple[Command, ...]:
        """A bridge goes: tasks whose packets may come to it rest. Those that count take off marks without a pause.

        To be asked before the transition under way goes on without it, and sends sources. The bridge itself is not
        told.
        """
        halted = [run for run in self._coloring(bridge, runs) if run.alternation is None]
        for run in halted:
            run.resting = True
            self._halted.append(run.task.id)
        self.deployment.stale |= bool(halted)
        return tuple(brake for brake in brakes(self.deployment.fleet, halted) if brake.bridge != bridge)

    def _coloring(self, bridge: BridgeId, runs: Iterable[TaskRun]) -> list[TaskRun]:
        """Tasks that color packets which may come to this bridge, from when their sources were sent."""
        return [run for run in runs if self.deployment.colors(run) and bridge in run.scope]

    def advance(self, runs: Mapping[int, TaskRun], at: float) -> None:
        """Let the next task color again, when nothing came too fast for long enough, and those that a bridge halted."""
        if self._halted and self.deployment.settled:
            for halted in [runs[number] for number in self._halted if number in runs]:
                halted.resting, self.deployment.stale = False, True
            self._halted = []
        if not self._resting or not self.deployment.settled or at - self._since < PAUSE:
            return
        resting = [run for number in self._resting if (run := runs.get(number)) and run.gathering]
        crowd, others = [run for run in resting if run.packets], [run for run in resting if not run.packets]
        for run in crowd:
            run.note(RESTED)
        self._learn(runs)
        together = _share(crowd, self._burst)
        for run in (*crowd[:together], *others):
            run.resting = False
            self._since, self.deployment.stale = at, True
        self._turn = {run.task.id: run.packets for run in crowd[:together]}
        self._resting = [run.task.id for run in crowd[together:]]

    def _learn(self, runs: Mapping[int, TaskRun]) -> None:
        """How many packets the last burst brought; where a task had what it missed, it may have been good for more."""
        took_part = {number: self._turn.get(number, 0) for number in self._turn or runs}
        known = {number: run for number in took_part if (run := runs.get(number)) is not None}
        gained = sum(run.packets - took_part[number] for number, run in known.items())
        limited = len(known) == len(took_part) and not any(run.full for run in known.values())
        self._burst = gained if limited else max(self._burst, gained)


def _share(crowd: Sequence[TaskRun], burst: int) -> int:
    """How many of these share a burst of so many packets: as many as it takes to miss them all, one at least."""
    missing = accumulate(map(_missing, crowd))
    return next((number for number, sum_ in enumerate(missing, 1) if sum_ >= burst), len(crowd))


def _missing(run: TaskRun) -> int:
    return run.task.request.packet_count - run.packets
