import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from vtrace_ovs.model.construction import builder, quickly_built


@dataclass(frozen=True, slots=True)
class Plain:
    number: int
    text: str = "none"
    cost: float = field(default=0.5, compare=False)


@quickly_built
@dataclass(frozen=True, slots=True)
class Quick:
    number: int
    text: str = "none"
    cost: float = field(default=0.5, compare=False)


@pytest.mark.parametrize("make", [Quick, builder(Quick)])
def test_it_is_built_as_a_dataclass_is(make: Callable[..., Quick]) -> None:
    plain = Plain(1)
    for made in (make(1), make(1, text="none"), make(text="none", number=1, cost=0.5)):
        assert type(made) is Quick
        assert repr(made) == repr(plain).replace("Plain", "Quick")
        assert [getattr(made, each.name) for each in fields(Quick)] == [1, "none", 0.5]
        assert (made, hash(made)) == (Quick(1, "none", 2.0), hash(plain))


@pytest.mark.parametrize("make", [Quick, builder(Quick)])
def test_it_is_as_frozen_as_before(make: Callable[..., Quick]) -> None:
    made = make(1)
    with pytest.raises(FrozenInstanceError):
        made.number = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        make()
    assert replace(made, number=2) == Quick(2)
    assert copy.copy(made) == pickle.loads(pickle.dumps(made)) == made  # noqa: S301  its own bytes


def test_a_field_made_by_a_factory_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Listed:
        values: list[int] = field(default_factory=list)

    with pytest.raises(TypeError, match="Listed has a field"):
        quickly_built(Listed)
