from dataclasses import replace

from session_network import CS1, CS2, DB, GW, VTEPS, headers, tcp_to_db, through_the_tunnel
from session_world import World

from vtrace_ovs.instrumentation.cookies import Cookie
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Program, WriteIntents
from vtrace_ovs.session.events import CopiesCrowded, IntentsWritten
from vtrace_ovs.session.runs import Stage
from vtrace_ovs.session.turns import LATE, PAUSE, RESTED

MANY = 40
SOON = PAUSE + 0.05
PORTS = {1: 443, 2: 8443}
"""Of each task by its number."""
PORTS_OF_THREE = {**PORTS, 3: 9443}


def two_tasks(world: World, packet_count: int = 10 * MANY, trace_time: int = 30) -> None:
    for number, port in PORTS.items():
        world.claim(tcp_to_db(port, packet_count=packet_count, trace_time=trace_time), number)


def crowd(world: World, bridge: BridgeId = CS1) -> None:
    """It is told that copies come too fast, before they are."""
    world.feed(CopiesCrowded(world.now, bridge))


def packets(world: World, *numbers: int, count: int = MANY, begin: int = 1) -> None:
    """So many packets in a moment, of these tasks in turn."""
    for ip_id in range(begin, begin + count):
        number = numbers[ip_id % len(numbers)]
        world.feed(world.entering(headers(ip_id, PORTS_OF_THREE[number]), world.session.runs[number].slot))


def flood(world: World, *numbers: int, begin: int = 1) -> None:
    """Many packets of these tasks in a moment."""
    crowd(world)
    packets(world, *numbers, begin=begin)


def coloring(world: World) -> set[int]:
    """The slots packets are colored for."""
    cookies = (Cookie.of(mod.cookie) for mod in world.sources(CS1))
    return {cookie.slot for cookie in cookies if cookie is not None and cookie.slot is not None}


def slots(world: World, *numbers: int) -> set[int]:
    """Those of these tasks."""
    return {world.session.runs[number].slot for number in numbers}


def test_tasks_rest_when_copies_come_faster_than_they_are_let_through_for_long(world: World) -> None:
    two_tasks(world)
    flood(world, 1, 2)
    assert coloring(world) == set()
    world.wait(SOON)
    assert all(RESTED in run.notes for run in world.session.runs.values())


def test_they_color_again_one_by_one_the_one_that_misses_fewest_packets_first(world: World) -> None:
    two_tasks(world)
    packets(world, 1, 2, 2)
    crowd(world)
    world.wait(SOON)
    assert coloring(world) == slots(world, 2)
    world.wait(SOON)
    assert coloring(world) == slots(world, 1, 2)


def test_tasks_that_miss_fewer_packets_than_a_burst_brings_share_one(world: World) -> None:
    world.claim(tcp_to_db(PORTS[1], packet_count=MANY), 1)
    world.claim(tcp_to_db(PORTS[2], packet_count=10 * MANY), 2)
    packets(world, 1, 2)
    crowd(world)
    world.wait(SOON)
    assert coloring(world) == slots(world, 1, 2), "20 are missed, and a burst brings 40"


def test_a_burst_in_which_a_task_got_all_it_missed_may_bring_as_many_as_the_one_before(world: World) -> None:
    for number, port in PORTS_OF_THREE.items():
        world.claim(tcp_to_db(port, packet_count=50), number)
    packets(world, 1, 2, 3, count=60)
    crowd(world)
    world.wait(SOON)
    assert coloring(world) == slots(world, 1, 2), "each misses 30"
    packets(world, 1, count=30, begin=1000)
    crowd(world)
    world.wait(SOON)
    assert coloring(world) == slots(world, 2, 3)


def test_one_that_floods_alone_rests_again_and_leaves_the_other_its_turn(world: World) -> None:
    two_tasks(world)
    packets(world, 1, 2, 2)
    crowd(world)
    world.wait(SOON)
    flood(world, 2, begin=1000)
    assert coloring(world) == set()
    world.wait(SOON)
    assert coloring(world) == slots(world, 1)


def test_one_whose_packets_others_crowd_out_goes_on_after_the_pause_and_is_told_nothing(world: World) -> None:
    two_tasks(world)
    flood(world, 1)
    assert coloring(world) == set()
    world.wait(SOON)
    assert coloring(world) == slots(world, 1, 2)
    assert RESTED not in world.session.runs[2].notes


def test_one_that_saw_no_packet_does_not_rest_when_it_is_known_who_did(world: World) -> None:
    two_tasks(world)
    packets(world, 1)
    crowd(world)
    assert coloring(world) == slots(world, 2)


def test_a_crowd_where_no_packet_of_a_task_may_come_lets_it_color_on(world: World) -> None:
    world.rewrite(CS1, through_the_tunnel(DB, VTEPS[CS2]))
    two_tasks(world)
    packets(world, 1)
    crowd(world, GW)
    assert coloring(world) == slots(world, 1, 2)
    crowd(world, CS2)
    assert coloring(world) == slots(world, 2)


def test_copies_that_were_under_way_when_coloring_ended_are_no_new_crowd(world: World) -> None:
    two_tasks(world)
    packets(world, 1)
    crowd(world)
    world.wait(LATE / 2)
    crowd(world, CS2)
    assert coloring(world) == slots(world, 2)
    world.wait(LATE)
    crowd(world, CS2)
    assert coloring(world) == set()


def busy(world: World) -> None:
    """A transition is under way that a bridge does not confirm."""
    world.mute.add(CS2)
    deliver = world.production[CS2][1]
    world.rewrite(CS2, *world.production[CS2], replace(deliver, priority=50))
    world.feed(world.reading(CS2))
    assert not world.session.deployment.idle


def test_coloring_ends_at_once_even_while_a_transition_is_under_way(world: World) -> None:
    two_tasks(world)
    busy(world)
    flood(world, 1, 2)
    assert coloring(world) == set()


def test_nothing_is_colored_from_when_a_bridge_goes_until_the_others_send_it_no_marks(world: World) -> None:
    two_tasks(world)
    busy(world)
    world.down(GW)
    assert coloring(world) == set(), "the transition under way may last"
    world.wake(CS2)
    world.wait(1.0)
    assert coloring(world) == slots(world, 1, 2)
    assert not any(world.session.runs[number].notes.count(RESTED) for number in PORTS)


def test_a_bridge_that_goes_is_told_nothing_any_more(world: World) -> None:
    two_tasks(world)
    world.told()
    world.down(CS1)
    assert [said for said in world.told(Program) if said.startswith("cs1/br")] == []


def test_a_task_that_rests_as_a_bridge_goes_colors_again_when_the_others_send_it_no_marks(world: World) -> None:
    world.claim(tcp_to_db(packet_count=10 * MANY))
    busy(world)
    flood(world, 1)
    world.down(GW)
    world.told()
    world.wake(CS2)
    world.wait(1.0)
    programs = [said.removeprefix("cs1/br ") for said in world.told(Program) if said.startswith("cs1/br")]
    assert programs.index("-sinks") < programs.index("+sources"), programs


def sent(world: World) -> Program:
    """What CS1 was sent last, and has not confirmed."""
    return [said for said in world.transcript if isinstance(said, Program) and said.bridge == CS1][-1]


def confirm(world: World, *programs: Program) -> None:
    """CS1 does what it was sent, and nothing after it."""
    for program in programs:
        world.mute.discard(CS1)
        confirmed = world.program(program)
        world.mute.add(CS1)
        assert confirmed is not None
        world.feed(confirmed)


def test_coloring_ends_at_once_when_copies_come_before_it_is_known_that_it_has_begun(world: World) -> None:
    world.hold_intents = True
    world.claim(tcp_to_db(packet_count=10 * MANY))
    world.mute.add(CS1)
    world.feed(IntentsWritten(world.now, 1))
    crowd(world)
    assert not world.session.runs[1].resting, "its sinks are not confirmed, so no packet of it is among these"
    confirm(world, sent(world))
    confirm(world, sent(world))
    sources = sent(world)
    crowd(world)
    assert world.session.runs[1].resting
    confirm(world, sources, sent(world))
    assert coloring(world) == set()
    world.wake(CS1)
    world.wait(SOON)
    assert world.states(1)[-1] is TaskState.ARMED
    assert coloring(world) == slots(world, 1)


def armed_while_another_is_being_armed(world: World) -> None:
    """Task 1 colors, but counts as armed only when the transition for task 2, which came meanwhile, is over."""
    world.hold_intents = True
    world.claim(tcp_to_db(PORTS[1], packet_count=10 * MANY), 1)
    world.claim(tcp_to_db(PORTS[2], packet_count=10 * MANY), 2)
    (writing,) = [command for command in world.transcript if isinstance(command, WriteIntents)]
    world.feed(IntentsWritten(world.now, writing.batch))
    assert coloring(world) == slots(world, 1)
    assert [run.stage for run in world.session.runs.values()] == [Stage.ARMING, Stage.ARMING]


def test_a_task_whose_arming_goes_on_with_another_ends_coloring_in_a_crowd(world: World) -> None:
    armed_while_another_is_being_armed(world)
    crowd(world)
    assert coloring(world) == set()


def test_a_task_whose_arming_goes_on_with_another_ends_coloring_when_a_bridge_goes(world: World) -> None:
    armed_while_another_is_being_armed(world)
    world.down(CS2)
    assert coloring(world) == set()


def test_nothing_is_done_about_a_crowd_before_coloring_has_ended(world: World) -> None:
    two_tasks(world)
    packets(world, 1, 2)
    commands = world.feed(CopiesCrowded(world.now, CS1))
    assert [type(command) for command in commands] == [Program] * len(PORTS)
    assert coloring(world) == set()


def test_a_task_that_has_its_packets_and_does_not_know_yet_ends_coloring_with_the_others(world: World) -> None:
    world.claim(tcp_to_db(packet_count=5))
    for ip_id in range(1, 6):
        world.session.handle(world.entering(headers(ip_id)), copies_follow=True)
    assert coloring(world) == slots(world, 1)
    crowd(world)
    assert coloring(world) == set()
    assert not world.session.runs[1].resting


def test_coloring_of_a_task_that_has_its_packets_ends_at_once_while_a_transition_is_under_way(world: World) -> None:
    world.claim(tcp_to_db(packet_count=5))
    busy(world)
    packets(world, 1, count=5)
    assert coloring(world) == set()


def test_a_task_that_has_its_packets_ends_and_never_rests(world: World) -> None:
    world.claim(tcp_to_db(packet_count=5))
    packets(world, 1)
    crowd(world)
    assert not world.session.runs[1].resting
    assert world.states(1)[-1] is TaskState.DRAINING


def test_flows_of_a_task_that_rested_last_no_longer_than_those_it_had_before(world: World) -> None:
    two_tasks(world, trace_time=20)
    before = {mod.key: mod.hard_timeout for mod in world.sources(CS1)}
    world.wait(1.5)
    flood(world, 1, 2)
    world.wait(3 * SOON)
    after = {mod.key: mod.hard_timeout for mod in world.sources(CS1)}
    assert after.keys() == before.keys()
    assert all(after[key] < before[key] for key in before)


def test_a_task_that_rests_when_its_time_is_over_ends_as_any_other(world: World) -> None:
    world.claim(tcp_to_db(packet_count=10 * MANY, trace_time=1))
    for begin in range(1, 8 * MANY, MANY):
        if world.session.runs[1].coloring:
            flood(world, 1, begin=begin)
        world.wait(PAUSE / 2)
    world.wait(60)
    assert world.states(1)[-1] is TaskState.DONE
    assert RESTED in world.result.notes
    assert world.clean


def test_a_task_whose_bridge_changed_its_flows_while_it_rested_is_planned_by_the_new_ones(world: World) -> None:
    two_tasks(world)
    flood(world, 1, 2)
    world.rewrite(CS1, *world.production[CS1][1:])
    world.feed(world.reading(CS1))
    world.wait(3 * SOON)
    assert coloring(world) == {0, 1}
    state = world.session.fleet.states[CS1]
    assert state.planned_with is not None
    assert state.planned_with.tables_version == state.tables_version
