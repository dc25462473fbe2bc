from dataclasses import replace

import pytest

from vtrace_ovs.model.cost import ServerCost, ServerReading

BEFORE = ServerReading(10.0, megaflows=5, masks=4, upcalls=100, cpu_seconds=7.0)
DURING = ServerReading(14.0, megaflows=8, masks=3, upcalls=112, cpu_seconds=7.2)
COST = ServerCost("s1", 40, BEFORE, DURING)


def test_a_cost_is_what_lies_between_two_readings() -> None:
    assert (COST.megaflows, COST.masks, COST.upcalls) == (3, -1, 12)
    assert COST.cpu_share == pytest.approx(0.05)


def test_what_was_not_read_is_not_known() -> None:
    nothing = ServerCost("s1", 40)
    assert (nothing.megaflows, nothing.masks, nothing.upcalls, nothing.cpu_share) == (None,) * 4
    assert replace(COST, during=replace(DURING, masks=None)).masks is None


def test_counters_that_began_again_say_nothing() -> None:
    restarted = replace(COST, during=replace(DURING, upcalls=3, cpu_seconds=0.1))
    assert (restarted.upcalls, restarted.cpu_share) == (None, None)


def test_two_readings_of_one_instant_have_no_share() -> None:
    assert replace(COST, during=replace(DURING, at=BEFORE.at)).cpu_share is None
