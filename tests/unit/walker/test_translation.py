from collections.abc import Callable

import pytest

from vtrace_ovs.model.actions import Output, Resubmit
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.translation import MAX_DEPTH, MAX_RESUBMITS


def test_only_steps_back_deepen_the_recursion_and_its_limit_forgets_outputs(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow]
) -> None:
    view = BridgeView(tables(flow(0, 1, Match(), Output(2), Resubmit(None, 0))))
    visit = evaluate(view, PacketState(0), 60, None)
    assert (len(visit.searches), visit.emissions) == (MAX_DEPTH + 1, ())
    assert [stop.shape for stop in visit.stops] == [DropShape.RECURSION_LIMIT]


@pytest.mark.parametrize("last_table", [2, 3])
def test_searches_are_counted_whatever_their_depth_and_whether_they_find_a_flow(
    last_table: int, tables: Callable[..., BridgeTables], flow: Callable[..., Flow]
) -> None:
    wide = [Resubmit(None, 1)] * 70
    onward = [Resubmit(None, last_table)] * 70
    view = BridgeView(tables(flow(0, 1, Match(), *wide), flow(1, 1, Match(), *onward), flow(2, 1, Match())))
    visit = evaluate(view, PacketState(0), 60, None)
    assert len(visit.searches) == MAX_RESUBMITS + 1
    assert [stop.shape for stop in visit.stops] == [DropShape.RESUBMIT_LIMIT]


def test_a_search_that_unknown_bits_decide_ends_the_pass_and_names_the_field(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    view = BridgeView(tables(flow(0, 1, match(reg0=1), Output(2))))
    (stop,) = evaluate(view, PacketState(0, layout.bits_of("reg0")), 60, None).stops
    assert (stop.shape, stop.detail) == (None, "the flows here match on reg0, and its value is not known")
