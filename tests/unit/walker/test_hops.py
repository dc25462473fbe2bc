from collections.abc import Callable

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model import oxm
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.hops import Arrival, output_hop, stopped_hop, stopping
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

Visited = Callable[..., tuple[Arrival, Visit]]


@pytest.fixture
def visited(tables: Callable[..., BridgeTables], headers: Callable[..., Headers]) -> Visited:
    def visit(*flows: Flow) -> tuple[Arrival, Visit]:
        view = BridgeView(tables(*flows, down=(8,)))
        state = packed_state(headers(ttl=2), 1, None)
        arrival = Arrival(BridgeId("a", "sw"), view, 3, 1, None, headers(ttl=2), state.packed)
        return arrival, evaluate(view, state, 118, None)

    return visit


def test_an_output_hop_has_steps_in_the_words_of_ovs_and_what_changed(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    first = flow(0, 5, match(in_port=1), act.DecTtl(), act.GotoTable(2))
    second = flow(2, 7, match(), act.WriteActions((act.Output(4),)))
    arrival, visit = visited(first, second)
    (emission,) = visit.emissions
    hop = output_hop(arrival, emission)
    assert (hop.dscp_mark, hop.in_port, hop.out_port, hop.drop, hop.deciding) == (3, 1, 4, None, 1)
    assert [(step.table_id, step.flow, step.cookie, step.actions) for step in hop.steps] == [
        (0, first.key, 5, "dec_ttl,goto_table:2"),
        (2, second.key, 2007, "write_actions(output:4)"),
    ]
    assert [(change.field, change.old, change.new) for change in hop.changes] == [("nw_ttl", "2", "1")]
    assert hop.headers_in == arrival.headers
    assert hop.headers_out is not None
    assert hop.headers_out.ttl == 1


def test_where_nothing_was_output_the_strongest_reason_counts_else_the_last_search(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    _, down = visited(flow(0, 5, match(), act.Output(8), act.Resubmit(None, 3)))
    assert [stop.shape for stop in stopping(down)] == [DropShape.PORT_DOWN]
    _, last = visited(flow(0, 5, match(), act.Resubmit(None, 3), act.Resubmit(None, 4)), flow(4, 9, match()))
    assert [(stop.shape, stop.step) for stop in stopping(last)] == [(DropShape.EXPLICIT_DROP, 2)]


def test_beside_outputs_only_failed_outputs_and_the_undecided_end_a_branch(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    actions = (act.Output(2), act.Output(1), act.Output(8), act.Resubmit(None, 3), act.UnknownAction("encap", b""))
    _, visit = visited(flow(0, 5, match(), *actions))
    assert [stop.shape for stop in stopping(visit)] == [DropShape.UNSUPPORTED, DropShape.PORT_DOWN]


def test_a_dropped_hop_carries_near_misses_at_the_table_that_decided(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    allow = flow(3, 5, match(eth_type=0x800, ip_proto=6, tcp_dst=80), act.Output(2))
    arrival, visit = visited(flow(0, 5, match(), act.GotoTable(3)), allow)
    hop = stopped_hop(arrival, stopping(visit)[0], 3)
    assert (hop.drop, hop.ending, hop.steps[1].flow) == (DropShape.NO_MATCH, Ending.DROPPED, None)
    assert [near.flow for near in hop.steps[1].near_misses] == [allow.key]
    assert hop.steps[0].near_misses == ()


def test_a_flow_that_the_packet_met_before_in_the_same_table_is_no_near_miss(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    marked = act.SetField(oxm.field("reg0"), 1, oxm.field("reg0").full_mask)
    again = flow(0, 9, match(reg0=0), marked, act.Resubmit(None, 0))
    allow = flow(0, 8, match(reg0=7), act.Output(2))
    arrival, visit = visited(again, allow, flow(0, 5, match()))
    hop = stopped_hop(arrival, stopping(visit)[0], 1)
    assert [step.flow for step in hop.steps][:1] == [again.key]
    assert [near.flow for near in hop.steps[-1].near_misses] == [allow.key]


def test_an_unsupported_action_is_named_and_an_unknown_value_is_noted(
    visited: Visited, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    arrival, visit = visited(flow(0, 5, match(), act.UnknownAction("encap", b"")))
    hop = stopped_hop(arrival, stopping(visit)[0], 3)
    assert (hop.drop, hop.unsupported, hop.note, hop.ending) == (
        DropShape.UNSUPPORTED, "encap", None, Ending.UNKNOWN,
    )  # fmt: skip
    arrival, visit = visited(flow(0, 5, match(tun_gbp_id=4), act.Output(2)))
    hop = stopped_hop(arrival, stopping(visit)[0], 3)
    assert (hop.drop, hop.unsupported, hop.ending) == (None, None, Ending.UNKNOWN)
    assert hop.note == "the flows here match on tun_gbp_id, and its value is not known"
