"""A request to trace traffic, and the life of the task that serves it (design D9)."""

from dataclasses import dataclass, field
from enum import Enum

from vtrace_ovs.model.filter import Filter, Scope

PACKET_COUNT_RANGE = range(1, 501)
TRACE_TIME_RANGE = range(1, 601)
DEFAULT_PACKET_COUNT = 20
DEFAULT_TRACE_TIME = 30
MOST_TASKS = 512
"""So many may run at once: the state field has room for as many task numbers (``instrumentation.state``)."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """What the operator asked for: the paper's ``addVTrace(filter, packet_count, trace_time)`` and a scope.

    ``trace_time`` is in seconds. ``answers`` is the task whose traffic this task's packets are the replies to, None
    for a task of its own. With an ``interval`` (seconds), packets are not copied but counted, interval by interval.
    """

    filter: Filter
    scope: Scope = field(default_factory=Scope)
    packet_count: int = DEFAULT_PACKET_COUNT
    trace_time: int = DEFAULT_TRACE_TIME
    answers: int | None = None
    interval: int | None = None


class TaskState(Enum):
    """Where a task is in its life. The last five are final."""

    NEW = "new"
    ANALYSER_READY = "analyser ready"
    ARMING = "arming"
    ARMED = "armed"
    COLLECTING = "collecting"
    DRAINING = "draining"
    DONE = "done"
    PARTIAL = "partial"
    INVALIDATED = "invalidated"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the task."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {TaskState.DONE, TaskState.PARTIAL, TaskState.INVALIDATED, TaskState.FAILED, TaskState.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task as the database holds it. Times are Unix seconds; ``reason`` explains a state that needs it.

    ``slot`` (less than MOST_TASKS) is the number the data plane knows the task by while it is armed.
    """

    id: int
    request: TraceRequest
    state: TaskState
    created_at: float
    slot: int | None = None
    armed_at: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    cancel_requested: bool = False


class IntentKind(Enum):
    """What an intent announces: things in the network that must be removed again even after a crash."""

    FLOWS = "flows"
    METER = "meter"
    CONTROLLER_ROW = "controller row"


@dataclass(frozen=True, slots=True)
class IntentDraft:
    """An intent before it is written: what will exist where, on whose behalf. Fields as in ``Intent``."""

    task_id: int
    kind: IntentKind
    target: str
    ovsdb: str
    detail: str


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before the network is touched, erased after the undo is confirmed.

    ``target`` is ``server/bridge``; ``ovsdb`` finds the bridge again; ``detail`` is the meter id or the controller
    target.
    """

    id: int
    task_id: int
    kind: IntentKind
    target: str
    ovsdb: str
    detail: str
    written_at: float
    undone_at: float | None = None
