"""The task for the replies to another's traffic ends with it, not before and not long after."""

from dataclasses import replace

from session_network import tcp_to_db
from session_world import World

from vtrace_ovs.filters import reversed_filter
from vtrace_ovs.model.filter import Scope
from vtrace_ovs.model.task import TaskState


def test_replies_are_waited_for_a_little_after_their_requests_are_over(world: World) -> None:
    there = tcp_to_db(packet_count=5, trace_time=3)
    back = replace(there, filter=reversed_filter(there.filter), scope=Scope(), trace_time=600, answers=1)
    world.claim(there)
    world.claim(back, number=2)
    world.wait(4.0)
    assert world.states(1)[-1] is TaskState.DONE
    assert world.states(2)[-1] is TaskState.ARMED
    world.wait(world.session.settings.reply_wait + 1.0)
    assert world.states(2)[-1] is TaskState.DONE
