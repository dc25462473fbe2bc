import pytest

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.marks import POOL_2, MarkPlan, code_points_in_use
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IP_DSCP, field


def test_pool_2_is_what_rfc_2474_leaves_for_local_use() -> None:
    assert len(POOL_2) == 16
    assert all(code & 0b11 == 0b11 for code in POOL_2)


def test_a_code_tells_hop_and_tenant_dscp_and_nothing_else_has_that_code() -> None:
    plan = MarkPlan.of().with_series(46)
    assert plan is not None
    marks = plan.marks()
    assert len({mark.code for mark in marks}) == len(marks) == 10
    for mark in marks:
        assert plan.code(mark.hop, mark.dscp) == mark.code
        assert plan.mark(mark.code) == mark
    assert plan.mark(0) is None


def test_after_the_last_code_a_packet_carries_its_own_dscp() -> None:
    plan = MarkPlan.of()
    assert plan.code(plan.length + 1, 0) == 0
    assert plan.code(1, 33) == 33


def test_series_are_refused_when_codes_run_out() -> None:
    plan = MarkPlan.of().with_series(10)
    assert plan is not None
    assert plan.with_series(10) is plan
    full = plan.with_series(46)
    assert full is not None
    assert full.with_series(12) is None


def test_a_dscp_that_is_a_mark_gets_no_series() -> None:
    assert MarkPlan.of().with_series(3) is None


def test_code_points_in_use_are_left_out() -> None:
    assert 3 not in MarkPlan.of(in_use={3, 7}).codes
    with pytest.raises(RefusedError, match="code points"):
        MarkPlan.of(in_use=range(60))


def test_a_code_is_replaced_without_changing_the_others() -> None:
    plan = MarkPlan.of()
    fewer = plan.without(7)
    assert fewer is not None
    assert 7 not in {mark.code for mark in fewer.marks()}
    assert [fewer.code(hop, 0) for hop in (1, 3, 4, 5)] == [plan.code(hop, 0) for hop in (1, 3, 4, 5)]
    assert MarkPlan(plan.codes[:5]).without(7) is None
    assert MarkPlan.of().without(63) == MarkPlan(POOL_2[:-1])


def test_production_matches_on_dscp_tell_what_tenants_send() -> None:
    flows = tuple(
        Flow(0, 1, Match.of(MaskedField(entry, value, entry.full_mask)), ())
        for entry, value in ((IP_DSCP, 11), (field("nw_tos"), 15 << 2), (field("eth_type"), 3))
    )
    assert code_points_in_use(BridgeTables(1, 0.0, flows)) == {11, 15}


def test_where_packets_are_counted_a_code_tells_color_and_tenant_dscp_and_is_kept_all_the_way() -> None:
    plan = MarkPlan.counting()
    assert plan.series == (0, 46, 34, 26, 18, 10, 8)
    marks = plan.marks()
    assert len({mark.code for mark in marks}) == len(marks) == 14
    for mark in marks:
        assert plan.mark(plan.code(1, mark.dscp, mark.color)) == mark
        assert plan.code(9, mark.dscp, mark.color) == mark.code
    assert plan.code(1, 12) == 12
    assert plan.without(3) is not None


def test_what_production_matches_is_counted_before_what_is_usual() -> None:
    assert MarkPlan.counting(in_use=(7, 12, 0)).series == (0, 7, 12, 46, 34, 26, 18)
    assert MarkPlan.counting(codes=(3, 7, 11, 46), in_use=(3,)).series == (0,)
    with pytest.raises(RefusedError, match="only 1 of the configured DSCP code points"):
        MarkPlan.counting(codes=(3, 7), in_use=(3,))
