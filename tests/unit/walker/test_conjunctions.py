from collections.abc import Callable

from vtrace_ovs.model.actions import Conjunction, Note, Output
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conjunctions import indexed
from vtrace_ovs.walker.index import TableIndex


def conjunctive(flow: Callable[..., Flow], match: Callable[..., Match]) -> TableIndex:
    """reg0 in {1, 2} and reg1 in {5, 6}; reg2=7 is a third way to satisfy the second clause."""
    return indexed(
        0,
        [
            *(flow(0, 10, match(reg0=value), Conjunction(4, 0, 2)) for value in (1, 2)),
            *(
                flow(0, 10, match(reg1=value), Note(b"x"), Conjunction(4, 1, 2), Conjunction(9, 0, 2))
                for value in (5, 6)
            ),
            flow(0, 10, match(reg2=7), Conjunction(4, 1, 2)),
            flow(0, 10, match(conj_id=4), Output(2)),
            flow(0, 8, match(reg3=1), Output(3)),
            flow(0, 1, match(), Output(4)),
        ],
    )


def priority(index: TableIndex, unknown: int = 0, **values: int) -> int | None:
    found = index.search(sum(layout.placed(name, value) for name, value in values.items()), unknown)
    assert not found.undecided
    return None if found.entry is None else found.entry.flow.priority


def test_a_conjunction_is_found_when_a_flow_of_every_clause_matches(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    index = conjunctive(flow, match)
    assert priority(index, reg0=1, reg1=6) == 10
    assert priority(index, reg0=2, reg2=7) == 10
    assert priority(index, reg0=1) == 1
    assert priority(index, reg1=5, reg2=7) == 1
    assert priority(index, reg1=5, reg3=1) == 8


def test_a_conjunction_loses_against_a_flow_of_its_own_priority_and_is_passed_over_without_a_flow_of_its_id(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    clauses = [flow(0, 10, match(reg0=1), Conjunction(4, 0, 2)), flow(0, 10, match(reg1=5), Conjunction(4, 1, 2))]
    rival = flow(0, 10, match(reg2=7), Output(1))
    index = indexed(0, [*clauses, flow(0, 10, match(conj_id=4), Output(2)), rival])
    found = index.search(layout.placed("reg0", 1) | layout.placed("reg1", 5) | layout.placed("reg2", 7), 0)
    assert found.entry is not None
    assert found.entry.flow is rival
    assert priority(indexed(0, [*clauses, flow(0, 2, match(), Output(3))]), reg0=1, reg1=5) == 2
    assert priority(indexed(0, [*clauses, flow(0, 2, match(conj_id=4), Output(3))]), reg0=1, reg1=5) == 2


def test_a_clause_on_unknown_bits_leaves_the_search_undecided_only_where_it_could_complete_a_conjunction(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    index = conjunctive(flow, match)
    doubtful = index.search(layout.placed("reg0", 1), layout.bits_of("reg1"))
    assert {entry.flow.match for entry in doubtful.undecided} == {match(reg1=5), match(reg1=6)}
    assert priority(index, layout.bits_of("reg1"), reg0=3) == 1
