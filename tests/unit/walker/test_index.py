from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.actions import Conjunction, GotoTable, Note, Output, WriteActions
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import Field, field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.index import Entry, TableIndex

NAMES = ("reg0", "reg1", "metadata", "ipv4_dst")
MATCHES = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 7), st.integers(1, 7)), max_size=3).map(
    lambda pairs: Match.of(*(MaskedField(field(name), value & mask, mask) for name, (value, mask) in pairs.items()))
)
FLOWS = st.lists(st.builds(Flow, st.just(0), st.integers(0, 9), MATCHES, st.just(())), max_size=20)
VALUES = st.dictionaries(st.sampled_from(NAMES).map(field), st.integers(0, 7))


@given(FLOWS, VALUES)
def test_the_search_finds_what_a_linear_scan_finds(flows: list[Flow], values: dict[Field, int]) -> None:
    packed = sum(layout.placed(entry.name, value) for entry, value in values.items())
    found = TableIndex(flows).search(packed, 0)
    matching = [flow for flow in flows if flow.match.accepts(values)]
    best = max((flow.priority for flow in matching), default=None)
    assert (None if found.entry is None else found.entry.flow.priority) == best
    assert found.entry is None or found.entry.flow in matching
    different = {flow.match for flow in matching if flow.priority == best}
    assert found.ambiguous == (len(different) > 1)


@given(FLOWS, VALUES, st.sampled_from(NAMES))
def test_unknown_bits_never_hide_a_flow_that_could_win(flows: list[Flow], values: dict[Field, int], name: str) -> None:
    values.pop(field(name), None)
    index = TableIndex(flows)
    packed = sum(layout.placed(entry.name, value) for entry, value in values.items())
    doubtful = index.search(packed, layout.bits_of(name))
    for value in range(8):
        certain = index.search(layout.replaced(packed, name, value), 0)
        if not doubtful.undecided:
            priorities = {None if each.entry is None else each.entry.flow.priority for each in (certain, doubtful)}
            assert len(priorities) == 1


def test_a_flow_that_tests_an_untracked_field_leaves_the_search_undecided(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    index = TableIndex([flow(0, 9, match(tun_gbp_id=4)), flow(0, 5, match())])
    found = index.search(0, layout.UNMODELLED)
    assert found.entry is not None
    assert found.entry.flow.priority == 5
    assert [entry.flow.priority for entry in found.undecided] == [9]


def test_instructions_run_in_the_order_of_the_specification(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    made = flow(0, 1, match(), GotoTable(3), WriteActions((Output(2),)), Output(1))
    assert Entry(made, 0, 0).program == (Output(1), WriteActions((Output(2),)), GotoTable(3))


def conjunctive(flow: Callable[..., Flow], match: Callable[..., Match]) -> TableIndex:
    """reg0 in {1, 2} and reg1 in {5, 6}; reg2=7 is a third way to satisfy the second clause."""
    return TableIndex(
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
        ]
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
    index = TableIndex([*clauses, flow(0, 10, match(conj_id=4), Output(2)), rival])
    found = index.search(layout.placed("reg0", 1) | layout.placed("reg1", 5) | layout.placed("reg2", 7), 0)
    assert found.entry is not None
    assert found.entry.flow is rival
    assert priority(TableIndex([*clauses, flow(0, 2, match(), Output(3))]), reg0=1, reg1=5) == 2
    assert priority(TableIndex([*clauses, flow(0, 2, match(conj_id=4), Output(3))]), reg0=1, reg1=5) == 2


def test_a_clause_on_unknown_bits_leaves_the_search_undecided_only_where_it_could_complete_a_conjunction(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    index = conjunctive(flow, match)
    doubtful = index.search(layout.placed("reg0", 1), layout.bits_of("reg1"))
    assert {entry.flow.match for entry in doubtful.undecided} == {match(reg1=5), match(reg1=6)}
    assert priority(index, layout.bits_of("reg1"), reg0=3) == 1
