import vtrace_ovs
from vtrace_ovs.cli import api


def test_the_two_calls_of_the_paper_are_at_the_top() -> None:
    assert vtrace_ovs.add_vtrace is api.add_vtrace
    assert vtrace_ovs.get_vtrace_result is api.get_vtrace_result


def test_nothing_else_is_made_up() -> None:
    assert not hasattr(vtrace_ovs, "trace_v")
