import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from vtrace_ovs.model.construction import HashedOnce, builder, hashed_once, quickly_built


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


class Counted:
    """Counts how often it is hashed."""

    hashed = 0

    def __hash__(self) -> int:
        self.hashed += 1
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counted)


@hashed_once
@dataclass(frozen=True, slots=True)
class Kept(HashedOnce):
    parts: tuple[Counted, ...]


def test_a_hash_is_computed_once_and_is_that_of_the_dataclass() -> None:
    part = Counted()
    kept = Kept((part,))
    assert {hash(kept) for _ in range(3)} == {hash(((part,),))}
    assert part.hashed == 2, "for it, and for the comparison above"
    assert (kept, {kept: 1}[Kept((Counted(),))]) == (Kept((Counted(),)), 1)


def test_a_kept_hash_is_no_field_and_does_not_travel() -> None:
    kept = Kept((Counted(),))
    hash(kept)
    assert [each.name for each in fields(kept)] == ["parts"]
    assert repr(kept).count("hash") == 0
    for other in (copy.copy(kept), replace(kept, parts=()), copy.deepcopy(kept)):
        assert not hasattr(other, "_hash")
