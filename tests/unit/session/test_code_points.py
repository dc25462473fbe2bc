from session_world import World

from vtrace_ovs.session.code_points import make_room_for


def test_a_dscp_gets_a_series_and_bridges_must_carry_it(armed: World) -> None:
    planning = armed.session.planning
    assert make_room_for(46, armed.session.runs.values(), planning)
    assert planning.marks.series == (0, 46)
    assert armed.session.runs[1].notes == []


def test_nothing_is_done_for_traffic_that_is_nobodys(armed: World) -> None:
    planning = armed.session.planning
    before = planning.marks
    assert not make_room_for(46, (), planning)
    assert not make_room_for(None, armed.session.runs.values(), planning)
    assert not make_room_for(0, armed.session.runs.values(), planning)
    assert planning.marks == before


def test_a_code_point_of_ours_is_given_back_for_good(armed: World) -> None:
    planning = armed.session.planning
    code = planning.marks.code(1, 0)
    assert make_room_for(code, armed.session.runs.values(), planning)
    assert planning.marks.mark(code) is None
    assert code in planning.sent_by_tenants
