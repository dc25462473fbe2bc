from collections.abc import Callable

from vtrace_ovs.model.actions import ApplyActions, GotoTable, Output, Resubmit, SetField, WriteActions, WriteMetadata
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry, Go, Write, looked_up, program


def test_instructions_run_in_the_order_of_the_specification(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    made = flow(0, 1, match(), GotoTable(3), WriteActions((Output(2),)), Output(1))
    assert program(made.instructions) == (Output(1), WriteActions((Output(2),)), Go(3, last=True))


def test_a_search_again_of_a_named_table_is_a_go_and_only_one_that_nothing_follows_is_the_last() -> None:
    applied = (Resubmit(None, 4), Resubmit(None, None), Resubmit(3, 4), Resubmit(None, 4, with_conntrack=True))
    assert program((ApplyActions(applied),)) == (Go(4, last=False), *applied[1:])
    assert program((ApplyActions(applied[:1]),)) == (Go(4, last=True),)
    assert program((ApplyActions(applied[:1]), GotoTable(5))) == (Go(4, last=False), Go(5, last=True))


def test_a_write_to_a_field_that_every_packet_has_leaves_all_other_bits_alone() -> None:
    for instructions in (
        (ApplyActions((SetField(field("metadata"), 0x30, 0xF0),)),),
        (WriteMetadata(0x30, 0xF0),),
    ):
        (write,) = program(instructions)
        assert isinstance(write, Write)
        assert layout.read(layout.EVERYTHING & write.kept | write.value, "metadata") == 0xFFFFFFFFFFFFFF3F
        assert layout.EVERYTHING & ~write.kept == layout.placed("metadata", 0xF0)


def test_a_write_to_a_field_that_some_packets_lack_stays_an_action() -> None:
    for name in ("ipv4_dst", "vlan_tci", "in_port", "tcp_src"):
        action = SetField(field(name), 1, field(name).full_mask)
        assert program((ApplyActions((action,)),)) == (action,)


def test_a_lookup_is_told_with_its_flow_only_where_that_is_certain(flow: Callable[..., Flow]) -> None:
    best, other = (Entry(flow(7, priority, Match(), Output(1)), 0, 0) for priority in (5, 9))
    alone = looked_up(7, best)
    assert alone is looked_up(7, best)
    assert (alone.entry, alone.step.flow, alone.program) == (best, best.flow.key, (Output(1),))
    rivalled = looked_up(7, best, ambiguous=True)
    assert (rivalled.entry, rivalled.ambiguous, alone.ambiguous) == (best, True, False)
    doubtful = looked_up(7, best, undecided=(other,))
    assert (doubtful.entry, doubtful.certain, doubtful.step.flow, doubtful.program) == (None, best, None, ())
