from dataclasses import replace

from session_network import CS1, DB, flow, headers, tcp_to_db, toward
from session_world import World

from vtrace_ovs.model.actions import Meter
from vtrace_ovs.model.flow import MeterCounters, MeterEntry
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCode
from vtrace_ovs.session.runs import Stage
from vtrace_ovs.session.settings import SessionSettings

LIMIT = MeterEntry(7, 100, 10, packets=True)


def test_copies_that_come_while_draining_still_count(world: World) -> None:
    world.claim(tcp_to_db())
    packet = headers()
    world.feed_all(world.whole_way(packet))
    before = len(world.results())
    assert world.session.runs[1].stage is Stage.DRAINING
    world.feed(world.dropped(packet))
    world.wait(1.0)
    assert world.states()[-1] is TaskState.DONE
    assert len(world.results()) > before
    assert len(world.result.groups[0].example.hops) == 3


def test_a_packet_that_is_judged_again_keeps_the_walk_it_was_judged_by(world: World) -> None:
    world.claim(tcp_to_db(packet_count=2))
    world.feed_all((world.entering(headers()), world.dropped(headers())))
    run = world.session.runs[1]
    (before,) = run.decisions
    world.session.outcomes.reconsider(run)
    (after,) = run.decisions
    assert after is not before
    assert before.predicted is not None
    assert after.predicted is before.predicted


def test_what_a_production_meter_dropped_since_arming_explains_a_loss(world: World) -> None:
    limited = flow(20, toward(DB), *world.production[CS1][1].instructions[0].actions)  # type: ignore[union-attr]
    limited = replace(limited, instructions=(Meter(LIMIT.meter_id), *limited.instructions))
    world.rewrite(CS1, limited, *world.production[CS1])
    world.production_meters[CS1] = (LIMIT,)
    world.counters[CS1] = (MeterCounters(LIMIT.meter_id, 1000, 50),)
    world.claim(tcp_to_db())
    world.feed(world.entering(headers()))
    world.counters[CS1] = (MeterCounters(LIMIT.meter_id, 1010, 55),)
    world.wait(SessionSettings().short_buffer + 0.3)
    assert world.result.verdict.code is CauseCode.METER_RATE_LIMIT
    assert "Meter 7 dropped 5 of 10 packets" in world.result.verdict.operator_sentence
