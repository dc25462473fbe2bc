"""What tasks that lost packets have in common: suspects, and which tasks speak for and against each of them."""

from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.verdict import TaskResult, Verdict


class SuspectKind(Enum):
    """The kinds of places tasks can have in common, the most exact first. A link joins two servers."""

    FLOW = "flow"
    VFD = "VFD"
    LINK = "link"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class TracedTask:
    """A task with a result, and the tenant whose traffic it is about, if that is known."""

    result: TaskResult
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class LosingTask:
    """A task that lost packets: whose it is, and what it found."""

    task_id: int
    tenant: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place several tasks that lost packets have in common, by their numbers.

    ``blamed_by`` are those whose verdicts blame it, ``losing`` all whose lost packets came by (those too), ``healthy``
    the tasks whose packets came by and all arrived. ``tenants`` are those of the ``losing``.
    """

    kind: SuspectKind
    name: str
    blamed_by: tuple[int, ...]
    losing: tuple[int, ...]
    healthy: tuple[int, ...]
    tenants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Correlation:
    """The likeliest common cause first. ``alone`` are losing tasks that share none; ``undecided`` say too little."""

    suspects: tuple[Suspect, ...]
    losing: tuple[LosingTask, ...]
    healthy: tuple[int, ...]
    undecided: tuple[int, ...]
    alone: tuple[int, ...]
