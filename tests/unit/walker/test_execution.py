from collections.abc import Callable

import pytest

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import SubField, field
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.evaluation import evaluate
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

REG0 = SubField(field("reg0"), 0, 16)
BIT = SubField(field("reg1"), 0, 1)
Run = Callable[..., Visit]


@pytest.fixture
def run(
    tables: Callable[..., BridgeTables], flow: Callable[..., Flow], headers: Callable[..., Headers]
) -> Callable[..., Visit]:
    def visited(
        *actions: act.Action | act.Instruction, more: tuple[Flow, ...] = (), begun: dict[str, int] | None = None
    ) -> Visit:
        state = packed_state(headers(), 1, None)
        for name, value in (begun or {}).items():
            state.packed |= layout.placed(name, value)
        return evaluate(BridgeView(tables(flow(0, 1, Match(), *actions), *more)), state, 118, None)

    return visited


def ports(visit: Visit) -> list[int]:
    return [emission.port for emission in visit.emissions]


def test_resubmit_by_the_original_tuple_needs_one(
    run: Run, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    begun = {"ct_nw_proto": 6, "ct_nw_src": 1, "ct_nw_dst": 2, "ct_tp_src": 3, "ct_tp_dst": 4}
    found = flow(1, 1, match(eth_type=0x0800, ip_proto=6, ipv4_dst=2, tcp_dst=4), act.Output(2))
    search = act.Resubmit(None, 1, with_conntrack=True)
    assert ports(run(search, act.Output(3), more=(found,), begun=begun)) == [2, 3]
    untracked = run(search, act.Output(3), more=(found,))
    assert (ports(untracked), len(untracked.searches)) == ([3], 1)


def test_the_rest_of_a_flow_behind_check_pkt_larger_keeps_its_edits_to_itself(
    run: Run, flow: Callable[..., Flow]
) -> None:
    load = act.SetField(field("reg0"), 3, 0xFFFFFFFF)
    for limit in (100, 200):
        lengths = flow(1, 1, Match(), act.CheckPacketLarger(limit, BIT), load, act.Output(2))
        visit = run(act.Resubmit(None, 1), act.OutputSubField(REG0), act.Output(4), more=(lengths,))
        assert ports(visit) == [2, 4]


def test_exit_behind_check_pkt_larger_ends_everything_for_large_packets_and_the_walk_for_small_ones(
    run: Run, flow: Callable[..., Flow]
) -> None:
    large, small = (flow(1, 1, Match(), act.CheckPacketLarger(limit, BIT), act.Exit()) for limit in (100, 200))
    assert ports(run(act.Resubmit(None, 1), act.Output(4), more=(large,))) == []
    (stop,) = run(act.Resubmit(None, 1), act.Output(4), more=(small,)).stops
    assert (stop.shape, stop.detail) == (
        DropShape.UNSUPPORTED,
        "exit in the branch of check_pkt_larger for larger packets",
    )


def test_exit_that_only_small_packets_run_into_behind_check_pkt_larger_is_their_own(
    run: Run, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    lengths = flow(1, 1, Match(), act.CheckPacketLarger(200, BIT), act.Resubmit(None, 2), act.Output(2))
    ending = flow(2, 5, match(reg1=(0, 1)), act.Exit())
    passing = flow(2, 4, Match(), act.Output(3))
    assert ports(run(act.Resubmit(None, 1), act.Output(4), more=(lengths, ending, passing))) == [4]


def test_a_ttl_that_runs_out_behind_check_pkt_larger_ends_that_flow_only(
    run: Run, flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    ip = match(eth_type=0x0800)
    low = act.SetField(field("nw_ttl"), 1, 0xFF)
    for limit in (100, 200):
        ending = flow(1, 1, ip, low, act.CheckPacketLarger(limit, BIT), act.DecTtl(), act.Output(2))
        assert ports(run(act.Resubmit(None, 1), act.Output(4), more=(ending,))) == [4]


def test_a_label_expires_as_a_packet_does(run: Run) -> None:
    expiring = (act.PushMpls(0x8847), act.SetField(field("mpls_ttl"), 1, 0xFF), act.DecMplsTtl(), act.Output(2))
    assert run(*expiring).stops[0].shape is DropShape.TTL_EXCEEDED
    assert ports(run(act.PushMpls(0x8847), act.DecMplsTtl(), act.Output(2))) == [2]


def test_more_labels_than_open_vswitch_keeps_are_named(run: Run) -> None:
    visit = run(*(act.PushMpls(0x8847) for _ in range(4)), act.Output(2))
    assert [stop.detail for stop in visit.stops] == ["MPLS labels beyond those Open vSwitch keeps"]
