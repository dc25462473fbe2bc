"""Turns armed tasks into which of them the same packet may belong to.

Where several tasks color at a port, any one's flow entry may win: all of them color alike, and the state names one task
the packet is of. Whose else it is follows from where it entered (``session``), so nothing is installed for
intersections, however many filters overlap.
"""

from collections.abc import Iterator

from vtrace_ovs.instrumentation.fragments import task_matches
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.instrumentation.site import Site


def may_share(one: ArmedTask, other: ArmedTask) -> bool:
    """Whether some packet may belong to both: both filters match it, and it may be both tenants'."""
    return not _strangers(one, other) and _meet(one, other)


def may_be_mistaken(one: ArmedTask, other: ArmedTask) -> bool:
    """Whether packets of different tenants look like both tasks', so that only ports and VNIs tell whose they are."""
    return _strangers(one, other) and _meet(one, other)


def travels_as(site: Site, task: ArmedTask) -> Iterator[ArmedTask]:
    """The tasks in whose name packets of this one must leave with a mark: itself, and those that know fewer VNIs."""
    yield task
    for other in site.tasks:
        narrower = other.vnis is not None and (task.vnis is None or bool(task.vnis - other.vnis))
        if other.slot != task.slot and narrower and may_share(task, other):
            yield other


def _strangers(one: ArmedTask, other: ArmedTask) -> bool:
    return one.vnis is not None and other.vnis is not None and not one.vnis & other.vnis


def _meet(one: ArmedTask, other: ArmedTask) -> bool:
    return any(a.overlaps(b) for a in task_matches(one) for b in task_matches(other))
