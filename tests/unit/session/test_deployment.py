from session_network import CS1, CS2, DB, GW, flow, tcp_to_db, toward
from session_world import START, World

from vtrace_ovs.model.actions import Output
from vtrace_ovs.model.task import IntentKind, Task, TaskState
from vtrace_ovs.session.commands import Program, WriteIntents
from vtrace_ovs.session.deployment import Move
from vtrace_ovs.session.events import CopiesCrowded, IntentsWritten, Programmed, TaskClaimed, Tick
from vtrace_ovs.session.settings import SessionSettings
from vtrace_ovs.session.turns import PAUSE

DEADLINE = SessionSettings().answer_deadline


def test_a_transition_reads_plans_writes_intents_and_rolls_out(world: World) -> None:
    seen = [world.session.deployment.move]
    world.hold_intents = True
    world.mute.add(CS1)
    world.feed(TaskClaimed(START, Task(1, tcp_to_db(), TaskState.ANALYSER_READY, START)))
    seen.append(world.session.deployment.move)
    world.feed(world.reading(CS1))
    seen.append(world.session.deployment.move)
    world.feed(intents_written(world))
    seen.append(world.session.deployment.move)
    assert seen == [Move.IDLE, Move.READING, Move.WRITING_INTENTS, Move.ROLLING_OUT]


def intents_written(world: World) -> IntentsWritten:
    batch = next(command.batch for command in world.transcript if isinstance(command, WriteIntents))
    return IntentsWritten(world.now, batch)


def test_intents_name_bridge_server_generation_and_meters(world: World) -> None:
    world.claim(tcp_to_db())
    (command,) = [command for command in world.transcript if isinstance(command, WriteIntents)]
    drafts = [draft for draft in command.intents if draft.target == "cs1/br"]
    assert [(draft.kind, draft.ovsdb, draft.detail) for draft in drafts] == [
        (IntentKind.FLOWS, "unix:cs1.sock", "generation 3"),
        (IntentKind.METER, "unix:cs1.sock", ",".join(map(str, world.meters[CS1]))),
    ]


def test_intents_that_are_written_are_not_written_again(world: World) -> None:
    world.claim(tcp_to_db(), 1)
    world.claim(tcp_to_db(port=80), 2)
    *_, first, second = (command for command in world.transcript if isinstance(command, WriteIntents))
    assert [{draft.task_id for draft in command.intents} for command in (first, second)] == [{1}, {2}]
    world.told()
    world.feed(CopiesCrowded(world.now, CS1))
    world.wait(PAUSE + 0.1)
    assert world.sources(CS1), "they color again"
    assert world.told(WriteIntents) == []
    world.cancel(1)
    world.wait(1.0)
    assert {task for _, task in world.open_intents} == {2}


def test_answers_to_older_batches_are_nothing(armed: World) -> None:
    armed.told()
    armed.feed(Programmed(armed.now, CS1, 0, ("no",)))
    armed.feed(IntentsWritten(armed.now, 0))
    assert armed.told() == []
    assert armed.session.deployment.first_problem() is None


def test_nobody_is_overdue_while_intents_are_written(world: World) -> None:
    world.hold_intents = True
    world.claim(tcp_to_db())
    world.wait(DEADLINE * 2)
    assert not world.session.fleet.unreachable()
    assert world.states() == [TaskState.ARMING]


def test_a_bridge_lost_while_others_are_read_does_not_hold_them_up(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.down(GW)
    assert world.states()[-1] is TaskState.ARMED
    assert not [c for c in world.transcript if isinstance(c, Program) and c.bridge == GW]


def test_a_bridge_lost_while_others_are_programmed_does_not_hold_them_up(world: World) -> None:
    world.mute.add(GW)
    world.claim(tcp_to_db())
    world.feed(world.reading(GW))
    assert world.states()[-1] is TaskState.ARMING
    world.down(GW)
    assert world.states()[-1] is TaskState.ARMED
    assert [len(state.left) for state in world.session.fleet.states.values()] == [0, 0, 1]


def test_plans_are_read_in_the_order_coming_there_left(armed: World) -> None:
    (there,) = armed.session.deployment.plans_on(CS2)
    armed.mute.add(CS2)
    armed.rewrite(CS2, *armed.production[CS2], flow(50, toward(DB), Output(1)))
    armed.feed(armed.reading(CS2))
    coming, kept = armed.session.deployment.plans_on(CS2)
    assert kept == there
    assert coming != there
    armed.down(CS2)
    assert set(map(id, armed.session.deployment.plans_on(CS2))) == {id(coming), id(kept)}


def test_an_idle_deployment_does_nothing_as_time_passes(world: World) -> None:
    assert world.session.deployment.overdue(world.now + 100) == ()
    assert world.session.handle(Tick(world.now + 100)) == ()
