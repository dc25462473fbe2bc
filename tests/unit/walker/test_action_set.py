from vtrace_ovs.model.actions import (
    Action,
    Conntrack,
    DecTtl,
    Group,
    Note,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    UnknownAction,
)
from vtrace_ovs.model.oxm import field
from vtrace_ovs.walker.action_set import ordered

SET_1, SET_2 = (SetField(field("reg0"), value, 0xFFFFFFFF) for value in (1, 2))


def test_actions_run_in_the_order_of_the_specification_and_repeats_once() -> None:
    written: tuple[Action, ...] = (Output(1), SET_2, SET_1, DecTtl(), PushVlan(0x8100), PopVlan(), DecTtl(), Output(3))
    assert ordered(written) == (PopVlan(), PushVlan(0x8100), DecTtl(), SET_2, SET_1, Output(3))


def test_a_group_displaces_an_output_and_an_output_a_resubmit() -> None:
    assert ordered((Group(4), Output(1))) == (Group(4),)
    assert ordered((Output(1), Resubmit(None, 3))) == (Output(1),)
    assert ordered((Resubmit(None, 3), Conntrack(True, False, 0, 1))) == (Resubmit(None, 3),)


def test_a_set_without_an_output_does_nothing() -> None:
    assert ordered((DecTtl(), SET_1, Note(b""))) == ()


def test_an_unknown_action_is_never_passed_over() -> None:
    unknown = UnknownAction("encap", b"")
    assert ordered((Output(1), unknown)) == (unknown, Output(1))
    assert ordered((unknown,)) == (unknown,)
