from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import Field, field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conjunctions import indexed

NAMES = ("reg0", "reg1", "metadata", "ipv4_dst")
MATCHES = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 7), st.integers(1, 7)), max_size=3).map(
    lambda pairs: Match.of(*(MaskedField(field(name), value & mask, mask) for name, (value, mask) in pairs.items()))
)
FLOWS = st.lists(st.builds(Flow, st.just(0), st.integers(0, 9), MATCHES, st.just(())), max_size=20)
VALUES = st.dictionaries(st.sampled_from(NAMES).map(field), st.integers(0, 7))


@given(FLOWS, VALUES)
def test_the_search_finds_what_a_linear_scan_finds(flows: list[Flow], values: dict[Field, int]) -> None:
    packed = sum(layout.placed(entry.name, value) for entry, value in values.items())
    found = indexed(0, flows).search(packed, 0)
    matching = [flow for flow in flows if flow.match.accepts(values)]
    best = max((flow.priority for flow in matching), default=None)
    assert (None if found.entry is None else found.entry.flow.priority) == best
    assert found.entry is None or found.entry.flow in matching
    different = {flow.match for flow in matching if flow.priority == best}
    assert found.ambiguous == (len(different) > 1)


@given(FLOWS, VALUES, st.sampled_from(NAMES))
def test_unknown_bits_never_hide_a_flow_that_could_win(flows: list[Flow], values: dict[Field, int], name: str) -> None:
    values.pop(field(name), None)
    index = indexed(0, flows)
    packed = sum(layout.placed(entry.name, value) for entry, value in values.items())
    doubtful = index.search(packed, layout.bits_of(name))
    for value in range(8):
        certain = index.search(layout.replaced(packed, name, value), 0)
        if not doubtful.undecided:
            priorities = {None if each.certain is None else each.certain.flow.priority for each in (certain, doubtful)}
            assert len(priorities) == 1


def test_a_flow_that_tests_an_untracked_field_leaves_the_search_undecided(
    flow: Callable[..., Flow], match: Callable[..., Match]
) -> None:
    index = indexed(0, [flow(0, 9, match(tun_gbp_id=4)), flow(0, 5, match())])
    found = index.search(0, layout.UNMODELLED)
    assert found.entry is None
    assert found.certain is not None
    assert found.certain.flow.priority == 5
    assert [entry.flow.priority for entry in found.undecided] == [9]


def test_of_flows_with_one_match_only_the_best_is_kept(flow: Callable[..., Flow], match: Callable[..., Match]) -> None:
    flows = [flow(0, priority, match(reg0=1)) for priority in (3, 8, 5)]
    assert [entry.flow for entry in indexed(0, flows).entries()] == [flows[1]]
