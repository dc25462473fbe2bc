"""A few thousand mutated inputs per decoder, the same ones every time; ``make fuzz`` tries a million."""

from itertools import islice
from random import Random

import pytest
from mutation import mutations
from targets import Kind, accepts, corpus

INPUTS = 1500


@pytest.mark.parametrize("kind", Kind)
def test_what_a_bridge_really_sent_is_read(kind: Kind) -> None:
    seeds = corpus()[kind]
    assert seeds
    assert all(accepts(kind, octets) for octets in seeds)


@pytest.mark.parametrize("kind", Kind)
def test_mutated_input_is_read_or_refused_in_one_line(kind: Kind) -> None:
    for octets in islice(mutations(corpus()[kind], Random(kind.value)), INPUTS):  # noqa: S311 - repeatable, not secret
        accepts(kind, octets)
