import pytest
from session_network import CS1, CS2, DB, flow, tcp_to_db, toward
from session_world import World

from vtrace_ovs.model.actions import Output
from vtrace_ovs.session.commands import SaveSamples, SaveSnapshot


def test_our_own_meters_are_not_productions(armed: World) -> None:
    armed.feed(armed.reading(CS1))
    tables = armed.session.fleet.states[CS1].tables
    assert tables is not None
    assert tables.meters == ()
    assert armed.meters[CS1]


def test_our_own_flows_are_not_productions(armed: World) -> None:
    armed.feed(armed.reading(CS1))
    tables = armed.session.fleet.states[CS1].tables
    assert tables is not None
    assert tables.flows == armed.production[CS1]


@pytest.mark.parametrize("count", [1, 3])
def test_a_reading_is_kept_as_samples_of_every_judged_task(world: World, count: int) -> None:
    for number in range(1, count + 1):
        world.claim(tcp_to_db(440 + number), number)
    world.told()
    world.feed(world.reading(CS2))
    assert world.told(SaveSamples) == ["samples"] * count


def test_tables_that_did_not_change_make_no_snapshot(armed: World) -> None:
    armed.told()
    armed.feed(armed.reading(CS1))
    assert armed.told(SaveSnapshot) == []


def test_a_table_change_is_noted_snapshotted_and_cloned_from(armed: World) -> None:
    before = armed.plan(CS1)
    armed.rewrite(CS1, *armed.production[CS1], flow(50, toward(DB), Output(2)))
    armed.told()
    armed.feed(armed.reading(CS1))
    told = armed.told()
    assert "snapshot 1 cs1/br" in told
    assert "cs1/br +sinks" in told
    after = armed.plan(CS1)
    assert before is not None
    assert after is not None
    assert len(after.sinks) > len(before.sinks)
    armed.cancel()
    armed.wait(1.0)
    assert "the flow tables of cs1/br changed while the trace ran" in armed.result.notes
