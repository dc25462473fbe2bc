from session_world import World

from vtrace_ovs.session.code_points import make_room_for


def test_a_dscp_gets_a_series_and_production_is_instrumented_anew(armed: World) -> None:
    deployment = armed.session.deployment
    make_room_for(46, armed.session.runs.values(), deployment)
    assert deployment.marks.series == (0, 46)
    assert deployment.stale
    assert armed.session.runs[1].notes == []


def test_nothing_is_done_for_traffic_that_is_nobodys(armed: World) -> None:
    deployment = armed.session.deployment
    before = deployment.marks
    make_room_for(46, (), deployment)
    make_room_for(None, armed.session.runs.values(), deployment)
    make_room_for(0, armed.session.runs.values(), deployment)
    assert deployment.marks == before
    assert not deployment.stale


def test_a_code_point_of_ours_is_given_back_for_good(armed: World) -> None:
    deployment = armed.session.deployment
    code = deployment.marks.code(1, 0)
    make_room_for(code, armed.session.runs.values(), deployment)
    assert deployment.marks.mark(code) is None
    assert code in deployment.sent_by_tenants
