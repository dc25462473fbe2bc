"""Whatever a task is doing when it is cancelled, it ends clean."""

from session_network import CS1, CS2, GW, headers, tcp_to_db
from session_world import World

from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.commands import Program, WriteIntents
from vtrace_ovs.session.events import (
    CancelRequested,
    IntentsWritten,
)
from vtrace_ovs.session.settings import SessionSettings

SHORT, LONG = SessionSettings().short_buffer, SessionSettings().long_buffer
DEADLINE = SessionSettings().answer_deadline


def test_a_task_cancelled_while_it_waits_touches_nothing() -> None:
    world = World(CS1, CS2)
    world.unheard.add(CS1)
    world.claim(tcp_to_db())
    world.cancel()
    assert world.states() == [TaskState.CANCELLED]
    assert not [command for command in world.transcript if isinstance(command, Program)]


def test_a_task_cancelled_while_bridges_are_read_ends_clean(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.cancel()
    world.mute.clear()
    world.feed(world.reading(GW))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.CANCELLED
    assert world.clean
    assert not world.results()


def test_a_task_cancelled_while_intents_are_written_ends_clean(world: World) -> None:
    world.hold_intents = True
    world.claim(tcp_to_db())
    world.cancel()
    world.hold_intents = False
    (intents,) = [command for command in world.transcript if isinstance(command, WriteIntents)]
    world.feed(IntentsWritten(world.now, intents.batch))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.CANCELLED
    assert world.clean


def test_a_task_cancelled_while_flows_are_rolled_out_drains_before_sinks_go(world: World) -> None:
    world.mute.add(CS2)
    world.claim(tcp_to_db())
    world.feed(world.reading(CS2))
    world.cancel()
    world.wake(CS2)
    world.tick()
    assert not world.sources(CS1)
    assert world.flows[CS2]
    world.wait(1.0)
    assert world.states()[-1] is TaskState.CANCELLED
    assert world.clean


def test_a_task_cancelled_while_collecting_tells_what_it_saw(armed: World) -> None:
    armed.feed_all(armed.whole_way(headers()))
    armed.cancel()
    armed.wait(1.0)
    assert armed.states()[-1] is TaskState.CANCELLED
    assert armed.result.verdict.disposition is Disposition.DELIVERED
    assert armed.clean


def test_a_task_cancelled_before_a_packet_is_judged_does_not_say_that_none_was_seen(armed: World) -> None:
    armed.feed(armed.entering(headers()))
    armed.cancel()
    armed.wait(1.0)
    assert armed.result.verdict.disposition is Disposition.INCONCLUSIVE


def test_a_task_cancelled_while_closing_keeps_its_sinks_until_sources_are_out(world: World) -> None:
    world.claim(tcp_to_db())
    world.mute.add(CS1)
    world.feed(world.entering(headers()))
    world.cancel()
    world.wait(SessionSettings().drain * 3)
    assert world.flows[CS2]
    world.wake(CS1)
    world.wait(1.0)
    assert world.states()[-1] is TaskState.CANCELLED
    assert world.clean


def test_a_task_cancelled_while_draining_or_removing_ends_clean(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed_all(world.whole_way(headers()))
    world.cancel()
    world.wait(0.1)
    world.mute.add(CS2)
    world.wait(0.3)
    world.cancel()
    world.wake(CS2)
    world.wait(1.0)
    assert world.states()[-1] is TaskState.CANCELLED
    assert world.clean


def test_a_request_to_cancel_a_task_nobody_runs_is_nothing(world: World) -> None:
    assert world.feed(CancelRequested(world.now, 99)) == ()
