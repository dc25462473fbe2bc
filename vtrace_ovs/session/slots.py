"""Turns running tasks, and those that ended a moment ago, into free task numbers and into who may share packets."""

from collections.abc import Collection
from dataclasses import dataclass, field

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.sharing import may_share
from vtrace_ovs.model.task import MOST_TASKS
from vtrace_ovs.session.runs import TaskRun


@dataclass(frozen=True, slots=True)
class Resting:
    """A task number that packets and copies on their way may still carry until then, and the traffic it stood for."""

    until: float
    traffic: ArmedTask | None

    def concerns(self, traffic: ArmedTask) -> bool:
        """Whether such a copy may be of this traffic."""
        return self.traffic is not None and may_share(self.traffic, traffic)


@dataclass(slots=True)
class Slots:
    """Numbers for at most so many tasks at once; each rests ``quarantine`` seconds after its task."""

    quarantine: float
    max_tasks: int = MOST_TASKS
    _resting: dict[int, Resting] = field(default_factory=dict)

    def free(self, runs: Collection[TaskRun], at: float) -> int:
        """The smallest task number that is neither in use nor may still be carried by a late packet (trap T18).

        It is MOST_TASKS when there is none, or as many tasks run as may: ``require`` refuses that.
        """
        if len(runs) >= self.max_tasks:
            return MOST_TASKS
        used = {run.slot for run in runs}
        self._resting = {slot: rest for slot, rest in self._resting.items() if rest.until > at}
        return next((slot for slot in range(MOST_TASKS) if slot not in used and slot not in self._resting), MOST_TASKS)

    def require(self, slot: int) -> None:
        """Raises RefusedError for the number that stands for none being free."""
        if slot >= MOST_TASKS:
            raise RefusedError(
                f"{self.max_tasks} tasks run already, or ended less than {self.quarantine:g} s ago; "
                "wait until one ends, or cancel one"
            )

    def find_partners(self, run: TaskRun, traffic: ArmedTask, runs: Collection[TaskRun]) -> None:
        """Whose packets may be this task's too: of those that run, and of those whose late copies may still come."""
        for other in runs:
            other.partners.discard(run.slot)
            if other is not run and other.armed_traffic is not None and may_share(traffic, other.armed_traffic):
                other.partners.add(run.slot)
                run.partners.add(other.slot)
        run.partners |= {slot for slot, rest in self._resting.items() if rest.concerns(traffic)}

    def rest(self, run: TaskRun, at: float) -> None:
        """A task has ended: nobody gets its number for a while."""
        self._resting[run.slot] = Resting(at + self.quarantine, run.armed_traffic)
