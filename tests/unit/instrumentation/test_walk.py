from vtrace_ovs.instrumentation.walk import action_lists, every_action, leads_on, lets_out, nested
from vtrace_ovs.model.actions import (
    ApplyActions,
    Clone,
    Conntrack,
    Controller,
    Exit,
    GotoTable,
    Group,
    Nat,
    Output,
    Resubmit,
    WriteActions,
)

NAT = Nat(source=True, destination=False)
CT = Conntrack(commit=True, force=False, zone=1, table_id=4, nested=(NAT,))
DEEP = Clone((Output(1), Clone((CT,))))


def test_nested_actions_come_right_after_what_holds_them() -> None:
    assert tuple(nested((DEEP, Exit()))) == (DEEP, Output(1), Clone((CT,)), CT, NAT, Exit())


def test_applied_and_written_actions_are_both_found() -> None:
    instructions = (ApplyActions((Output(1),), (b"x",)), GotoTable(2), WriteActions((Group(3),)))
    assert tuple(action_lists(instructions)) == (((Output(1),), (b"x",)), ((Group(3),), ()))
    assert tuple(every_action(instructions)) == (Output(1), Group(3))


def test_what_lets_a_packet_out_and_what_leads_it_on() -> None:
    assert [lets_out(action) for action in (Output(1), Group(1), Resubmit(None, 1), Controller(0))] == [1, 1, 0, 0]
    assert [leads_on(action) for action in (Output(1), Resubmit(None, 1), CT)] == [False, True, True]
