from dataclasses import replace

import pytest
from session_network import CS1, headers, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition
from vtrace_ovs.session.commands import SaveRecords


def test_a_copy_that_is_not_ours_is_nothing(armed: World) -> None:
    armed.told()
    foreign = armed.entering(headers())
    armed.feed(replace(foreign, packet_in=replace(foreign.packet_in, userdata=b"whatever")))
    unknown = armed.copy(CS1, armed.probe(CS1, ProbeKind.COLORED), State(), headers())
    armed.feed(replace(unknown, packet_in=replace(unknown.packet_in, metadata=())))
    assert armed.told() == []


def test_a_copy_of_a_task_that_has_ended_is_nothing(armed: World) -> None:
    late = armed.entering(headers(), slot=9)
    armed.told()
    armed.feed(late)
    assert armed.told() == []


def test_a_packet_colored_at_a_port_that_is_not_the_tasks_is_not_its(armed: World) -> None:
    armed.told()
    probe = armed.probe(CS1, ProbeKind.COLORED)
    armed.feed(armed.copy(CS1, probe, armed.state(1), headers(), in_port=9))
    assert armed.told(SaveRecords) == []


@pytest.mark.parametrize("ending", ["delivered", "nowhere"])
def test_a_mark_that_nobody_was_seen_to_give_is_no_evidence_of_the_traced_traffic(world: World, ending: str) -> None:
    """Anybody may send the traced five-tuple with a mark from a port that is not traced."""
    world.claim(tcp_to_db(packet_count=2))
    forged = headers(ip_id=99)
    world.feed_all(world.whole_way(forged)[2 : 4 if ending == "delivered" else 3])
    world.wait(10)
    world.feed_all(world.whole_way(headers()))
    world.wait(60)
    assert world.result.packets == 1
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert [group.verdict.disposition for group in world.result.groups] == [Disposition.DELIVERED]
    assert any("1 packet with a mark that nobody" in note for note in world.result.notes)


def test_marks_that_nobody_was_seen_to_give_alone_decide_nothing(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    world.feed_all(world.whole_way(headers())[2:])
    world.wait(60)
    assert world.states()[-1] is TaskState.DONE
    assert (world.result.verdict.disposition, world.result.groups) == (Disposition.INCONCLUSIVE, ())


def test_copies_of_the_plan_before_are_read_while_the_next_is_rolled_out(armed: World) -> None:
    drop = armed.dropped(headers())
    armed.mute.add(CS1)
    armed.rewrite(CS1, *armed.production[CS1][1:])
    armed.feed(armed.reading(CS1))
    armed.told()
    armed.feed(drop)
    assert armed.told(SaveRecords) == ["records 1"]


def test_a_code_point_a_tenant_was_seen_to_send_never_takes_the_place_of_another(armed: World) -> None:
    planning = armed.session.planning
    code, spare = planning.marks.code(1, 0), planning.marks.codes[-1]
    armed.feed(armed.uncolored(headers(dscp=spare)))
    assert armed.session.runs[1].notes == [], "no mark uses it, so no packet can have lost it"
    armed.feed(armed.uncolored(headers(dscp=code)))
    assert not {code, spare} & set(planning.marks.codes)
    assert planning.sent_by_tenants == {code, spare}
    assert any(f"DSCP {code}, a code point of ours" in note for note in armed.session.runs[1].notes)


def test_copies_that_arrive_while_arming_count(world: World) -> None:
    world.mute.add(CS1)
    world.claim(tcp_to_db())
    world.feed(world.reading(CS1))
    assert world.states() == [TaskState.ARMING]
    way = world.whole_way(headers())
    world.feed(way[0])
    assert world.told(SaveRecords) == ["records 1"]
    world.wake(CS1)
    assert world.states()[1] is TaskState.ARMED
    world.feed_all(way[1:])
    assert world.result.verdict.disposition is Disposition.DELIVERED
