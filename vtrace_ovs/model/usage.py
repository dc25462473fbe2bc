"""Turns what became of every task into how the tool is used: the paper's Figures 9 and 10, and its Table 4."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.verdict import CauseCategory, Disposition

TABLE_4 = (
    CauseCategory.RATE_LIMIT,
    CauseCategory.SECURITY_POLICY,
    CauseCategory.CONFIG_ERROR,
    CauseCategory.UNSUPPORTED_ACTION,
    CauseCategory.UNKNOWN,
)
"""The rows of the paper's Table 4: losses that are no fault of a VFD."""

_DAY = 86_400
_WEEK_DAYS = 7
_MONDAY = date(1970, 1, 5).toordinal()
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """One task: what was asked for, when (Unix seconds), and what was found.

    ``disposition`` and ``category`` are None without a result; ``role`` is that of the bridge blamed, None where none
    is blamed or its role is not known.
    """

    created_at: float
    packet_count: int
    trace_time: int
    disposition: Disposition | None = None
    category: CauseCategory | None = None
    role: BridgeRole | None = None

    @property
    def is_loss(self) -> bool:
        """Whether it proved a loss."""
        return self.disposition is not None and self.disposition.is_loss


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often each value was asked for: (value, tasks), by value."""

    counts: tuple[tuple[int, int], ...]

    @property
    def tasks(self) -> int:
        """How many tasks there are in all."""
        return sum(count for _, count in self.counts)

    def between(self, first: int, last: int) -> int:
        """How many tasks asked for ``first`` to ``last``."""
        return sum(count for value, count in self.counts if first <= value <= last)

    def cumulative(self) -> tuple[tuple[int, float], ...]:
        """(value, share of tasks that asked for at most that), by value: the CDF of the paper's Figure 9."""
        total, so_far, steps = self.tasks, 0, []
        for value, count in self.counts:
            so_far += count
            steps.append((value, so_far / total))
        return tuple(steps)


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday (UTC): the tasks asked for, and how many of them proved a loss (Figure 10)."""

    monday: date
    tasks: int
    losses: int


@dataclass(frozen=True, slots=True)
class CauseCount:
    """Tasks that proved a loss of this category, blamed on a bridge of this role (None: no bridge, or not known)."""

    category: CauseCategory
    role: BridgeRole | None
    tasks: int


@dataclass(frozen=True, slots=True)
class Usage:
    """All tasks of a database, counted. ``weeks`` has no gaps; ``causes`` has no zeros."""

    tasks: int
    with_result: int
    losses: int
    packet_counts: Distribution
    trace_times: Distribution
    weeks: tuple[Week, ...]
    causes: tuple[CauseCount, ...]

    def caused(self, categories: Sequence[CauseCategory], roles: Sequence[BridgeRole | None]) -> int:
        """How many losses are of these categories and blamed on bridges of these roles."""
        return sum(one.tasks for one in self.causes if one.category in categories and one.role in roles)


def usage_of(outcomes: Iterable[TaskOutcome]) -> Usage:
    """Every task counted once, in any order; a task for replies is a task of its own."""
    listed = tuple(outcomes)
    lost = tuple(one for one in listed if one.is_loss)
    causes = Counter((one.category, one.role) for one in lost)
    return Usage(
        len(listed),
        sum(one.disposition is not None for one in listed),
        len(lost),
        _distribution(one.packet_count for one in listed),
        _distribution(one.trace_time for one in listed),
        _weeks(listed),
        tuple(
            CauseCount(category, role, causes[category, role])
            for category in CauseCategory
            for role in (*BridgeRole, None)
            if (category, role) in causes
        ),
    )


def _distribution(values: Iterable[int]) -> Distribution:
    return Distribution(tuple(sorted(Counter(values).items())))


def _weeks(outcomes: Sequence[TaskOutcome]) -> tuple[Week, ...]:
    if not outcomes:
        return ()
    tasks = Counter(_monday(one.created_at) for one in outcomes)
    losses = Counter(_monday(one.created_at) for one in outcomes if one.is_loss)
    return tuple(
        Week(date.fromordinal(monday), tasks[monday], losses[monday])
        for monday in range(min(tasks), max(tasks) + 1, _WEEK_DAYS)
    )


def _monday(at: float) -> int:
    """The ordinal of the Monday on or before a moment in Unix seconds."""
    day = _EPOCH + int(at // _DAY)
    return day - (day - _MONDAY) % _WEEK_DAYS
