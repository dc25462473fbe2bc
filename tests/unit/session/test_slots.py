import pytest
from session_network import tcp_to_db
from session_world import World

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.model.task import MOST_TASKS, Task, TaskState
from vtrace_ovs.session.runs import TaskRun
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.slots import Slots


def running(slot: int) -> TaskRun:
    return TaskRun(Task(slot + 1, tcp_to_db(), TaskState.ARMED, 0.0), slot)


def test_the_smallest_number_that_is_not_in_use_is_free() -> None:
    assert Slots(5.0).free([running(0), running(2)], 0.0) == 1


def test_a_task_number_rests_before_it_is_used_again(world: World) -> None:
    slots = []
    for number in (1, 2):
        world.claim(tcp_to_db(), number)
        slots.append(world.session.runs[number].slot)
        world.cancel(number)
        world.wait(1.0)
    world.wait(SessionSettings().slot_quarantine)
    world.claim(tcp_to_db(), 3)
    slots.append(world.session.runs[3].slot)
    assert slots == [0, 1, 0]


def test_too_many_tasks_are_refused() -> None:
    slots = Slots(5.0)
    for slot in range(MOST_TASKS - 1):
        slots.rest(running(slot), 0.0)
    last = slots.free((), 1.0)
    slots.require(last)
    with pytest.raises(RefusedError, match="512 tasks run already, or ended less than 5 s ago"):
        slots.require(slots.free([running(last)], 1.0))


def test_fewer_tasks_may_be_allowed_and_those_that_ended_do_not_count() -> None:
    slots = Slots(5.0, max_tasks=2)
    slots.rest(running(0), 0.0)
    last = slots.free([running(1)], 1.0)
    slots.require(last)
    with pytest.raises(RefusedError, match=r"^2 tasks run already"):
        slots.require(slots.free([running(1), running(last)], 1.0))
