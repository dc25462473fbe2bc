"""Which packets of a patch port are kept apart, told of random first tables by who would hit which flow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.isolation import MOST_LAYERS, PLAIN, Layer, isolates, layers
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Clone,
    Conjunction,
    Conntrack,
    DecTtl,
    Instruction,
    Meter,
    Output,
    UnknownAction,
    WriteActions,
)
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import IN_PORT, IP_DSCP, REGISTERS, Field

COMMIT = Conntrack(True, False, 1, None)
TRACKS, PLAINLY = ApplyActions((COMMIT,)), ApplyActions((Output(3),))
BITS = REGISTERS[:2]


def on(field: Field, value: int, mask: int | None = None) -> Match:
    return Match.of(MaskedField(field, value, field.full_mask if mask is None else mask))


def flow(priority: int, match: Match, instruction: Instruction) -> Flow:
    return Flow(0, priority, match, (instruction,))


@pytest.mark.parametrize("instruction", [Meter(7), TRACKS, ApplyActions((Output(3, 60),))])
def test_what_cannot_be_undone_isolates(instruction: Instruction) -> None:
    assert isolates((instruction,)) is True


@pytest.mark.parametrize(
    "action", [Output(3), DecTtl(), Output(0xFFFFFFFD, 128), Clone((COMMIT,)), UnknownAction("encap", b"")]
)
def test_what_can_be_undone_or_has_a_place_of_its_own_does_not(action: Action) -> None:
    assert isolates((ApplyActions((action,)),)) is False
    assert isolates((WriteActions((COMMIT,)),)) is False


def test_first_flows_that_agree_need_one_layer() -> None:
    assert layers((flow(1, Match(), PLAINLY),), 2, 0) == PLAIN
    assert layers((flow(9, on(IN_PORT, 2), TRACKS), flow(9, on(IN_PORT, 3), PLAINLY)), 2, 0) == (
        Layer(Match(), 0, isolated=True),
    )


def test_a_flow_for_one_dscp_counts_for_packets_that_will_have_it_again() -> None:
    first = (flow(9, on(IP_DSCP, 46), TRACKS), flow(1, Match(), PLAINLY))
    assert layers(first, 2, 0) == PLAIN
    assert layers(first, 2, 46) == (Layer(Match(), 0, isolated=True), Layer(Match(), 1, isolated=False))


@st.composite
def first_tables(draw: st.DrawFn) -> tuple[Flow, ...]:
    """No two priorities alike."""
    parts = st.builds(lambda field, value, mask: MaskedField(field, value & mask, mask),
                      st.sampled_from(BITS), st.integers(0, 3), st.integers(0, 3))  # fmt: skip
    drawn = draw(st.lists(st.tuples(st.lists(parts, max_size=2), st.sampled_from((TRACKS, PLAINLY))), max_size=6))
    return tuple(flow(at, Match.of(*(p for p in own if p.mask)), how) for at, (own, how) in enumerate(drawn, 1))


@given(first_tables())
def test_every_packet_is_kept_apart_exactly_when_its_own_first_flow_does(first: tuple[Flow, ...]) -> None:
    found = layers(first, 2, 0)
    assert len(found) <= len(first) + 1
    for word in range(16):
        packet = {IN_PORT: 2, BITS[0]: word & 3, BITS[1]: word >> 2}
        hit = max((each for each in first if each.match.accepts(packet)), key=lambda each: each.priority, default=None)
        met = [layer for layer in found if layer.match.accepts(packet)]
        top = min(layer.depth for layer in met)
        ours = {layer.isolated for layer in met if layer.depth == top}
        assert hit is None or ours == {isolates(hit.instructions)}


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ((flow(5, on(IN_PORT, 2), TRACKS), flow(5, Match(), PLAINLY)), "ties with another.*priority=5"),
        ((flow(5, Match(), PLAINLY), flow(5, on(IN_PORT, 2), TRACKS)), "ties with another.*priority=5"),
        ((flow(6, Match(), ApplyActions((UnknownAction("new", b""),))), flow(5, Match(), TRACKS)), "does not know"),
        (
            (flow(6, Match(), ApplyActions((Conjunction(1, 1, 2),))), flow(5, Match(), TRACKS)),
            r"conjunction.*priority=6",
        ),
        (
            (flow(0, Match(), PLAINLY), *(flow(at, on(BITS[0], at), TRACKS) for at in range(1, MOST_LAYERS + 2))),
            f"more than {MOST_LAYERS}",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_naming_the_flow(first: tuple[Flow, ...], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        layers(first, 2, 0)
