from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import Field, field
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conjunctions import indexed
from vtrace_ovs.walker.gates import GatedIndex

DST, SRC, PORT, PROTOCOL = (field(name) for name in ("ipv4_dst", "ipv4_src", "tcp_dst", "ip_proto"))
MASKS = tuple(product((0, 6), (6, 7), (0, 2, 3), (0, 1)))
PREFIXES = tuple(product((0, 6, 7), (0, 6, 7), (0, 2, 3), (0, 1)))
VALUES = st.fixed_dictionaries({each: st.integers(0, 7) for each in (SRC, DST, PORT, PROTOCOL)})


def rule(priority: int, masks: tuple[int, ...], values: dict[Field, int]) -> Flow:
    pairs = zip((SRC, DST, PORT, PROTOCOL), masks, strict=True)
    masked = [MaskedField(each, values[each] & mask, mask) for each, mask in pairs if mask]
    return Flow(0, priority, Match.of(*masked), ())


RULES = st.lists(st.builds(rule, st.integers(0, 9), st.sampled_from(MASKS), VALUES), max_size=12)
PREFIX_RULES = st.lists(st.builds(rule, st.integers(0, 9), st.sampled_from(PREFIXES), VALUES), max_size=40)
EVERY_MASK = [rule(0, masks, dict.fromkeys((SRC, DST, PORT, PROTOCOL), 7)) for masks in MASKS]


SPREAD = [
    rule(1 + at % 5, masks, {SRC: at // 6 % 5, DST: at // 2 % 5, PORT: 7, PROTOCOL: 1})
    for at, masks in enumerate(PREFIXES)
]
"""Over prefixes of both addresses, each with few of the values there are: what signposts are made for."""


@given(RULES, VALUES)
def test_a_firewall_of_many_masks_is_searched_as_a_linear_scan_would(
    rules: list[Flow], values: dict[Field, int]
) -> None:
    searched_as_by_a_linear_scan([*EVERY_MASK, *rules], values)


@given(PREFIX_RULES, VALUES)
def test_so_is_one_over_many_prefixes_where_one_prefix_tells_which_gates_may_open(
    rules: list[Flow], values: dict[Field, int]
) -> None:
    searched_as_by_a_linear_scan([*SPREAD, *rules], values)


def searched_as_by_a_linear_scan(flows: list[Flow], values: dict[Field, int]) -> None:
    index = indexed(0, flows)
    assert isinstance(index, GatedIndex)
    found = index.search(sum(layout.placed(each.name, value) for each, value in values.items()), layout.UNMODELLED)
    matching = [flow for flow in flows if flow.match.accepts(values)]
    best = max((flow.priority for flow in matching), default=None)
    assert (None if found.entry is None else found.entry.flow.priority) == best
    assert found.entry is None or found.entry.flow in matching
    assert found.ambiguous == (len({flow.match for flow in matching if flow.priority == best}) > 1)


@given(RULES, VALUES)
def test_unknown_bits_are_open_behind_every_gate(rules: list[Flow], values: dict[Field, int]) -> None:
    index = indexed(0, [*EVERY_MASK, *rules])
    packed = sum(layout.placed(each.name, value) for each, value in values.items() if each is not DST)
    doubtful = index.search(packed, layout.bits_of("ipv4_dst"))
    for value in range(8):
        certain = index.search(layout.replaced(packed, "ipv4_dst", value), layout.UNMODELLED)
        if not doubtful.undecided:
            assert (certain.entry and certain.entry.flow.priority) == (doubtful.entry and doubtful.entry.flow.priority)


def test_a_table_of_few_masks_has_no_gates() -> None:
    assert not isinstance(indexed(0, EVERY_MASK[:2]), GatedIndex)
