"""Turns copies that come faster than they can be taken into pauses: the tasks rest, and color again one by one.

A copy that is lost costs a switch what one costs that is taken, and of a packet with a lost copy nothing is proven. So
of traffic that is too fast, packets are colored in short bursts, of one task after the other where several trace it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.brakes import brakes
from vtrace_ovs.session.bridges import BridgeState
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.deployment import Deployment
from vtrace_ovs.session.runs import Stage, TaskRun

CROWD_TIME = 0.1
"""Copies of one bridge are too many when in this time (seconds) as many come as our meter lets through for long."""

PAUSE = 0.3
"""So long (seconds) the queues of bridges empty, and our meters fill, before the next task colors again."""

RESTED = "traffic came faster than copies of it can be taken, so its packets were colored in short bursts"


@dataclass(slots=True)
class Turns:
    """Which tasks rest, in the order in which they will go on; ``_since`` is when last one rested or went on.

    ``_marks`` are how many copies had come from a bridge, and when, as the present ``CROWD_TIME`` of it began.
    """

    deployment: Deployment
    _resting: list[int] = field(default_factory=list)
    _marks: dict[BridgeId, tuple[int, float]] = field(default_factory=dict)
    _since: float = 0.0

    def took_copy(self, state: BridgeState, runs: Iterable[TaskRun], at: float) -> tuple[Command, ...]:
        """A copy of a traced packet came from this bridge. What must not color any more ends at once."""
        came = state.copies.came
        before, since = self._marks.get(state.bridge.id, (came, at))
        if came <= before or at - since > CROWD_TIME:
            self._marks[state.bridge.id] = came, at
        elif came - before >= self.deployment.planning.settings.log_rate * CROWD_TIME:
            self._marks[state.bridge.id] = came, at
            return self._rest([run for run in runs if _sees_packets(run)], at)
        return ()

    def _rest(self, crowd: list[TaskRun], at: float) -> tuple[Command, ...]:
        """All of these rest; the one that needs the fewest packets yet is the first to go on."""
        for run in sorted(crowd, key=_missing):
            run.resting = True
            run.note(RESTED)
            self._resting.append(run.task.id)
        if crowd:
            self._since, self.deployment.stale = at, True
        return tuple(brakes(self.deployment.fleet, crowd))

    def advance(self, runs: Mapping[int, TaskRun], at: float) -> None:
        """Let the next task color again, when nothing came too fast for long enough."""
        if not self._resting or not self.deployment.settled or at - self._since < PAUSE:
            return
        resting = [run for number in self._resting if (run := runs.get(number)) and run.stage is Stage.COLLECTING]
        self._resting = [run.task.id for run in resting[1:]]
        if resting:
            resting[0].resting = False
            self._since, self.deployment.stale = at, True


def _sees_packets(run: TaskRun) -> bool:
    return run.stage is Stage.COLLECTING and run.coloring and run.packets > 0 and not run.full


def _missing(run: TaskRun) -> int:
    return run.task.request.packet_count - run.packets
