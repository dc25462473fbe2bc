import gc

import pytest

from vtrace_ovs.model.bulk import MANY, collector_paused


def test_the_collector_rests_while_values_are_built_and_goes_on_after() -> None:
    assert gc.isenabled()
    with collector_paused(MANY):
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="astray"), collector_paused(MANY):
        raise ValueError("astray")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    with collector_paused(MANY):
        with collector_paused(MANY):
            pass
        assert not gc.isenabled()


def test_what_was_built_counts_as_old_unless_somebody_keeps_things_from_the_collector() -> None:
    gc.collect()
    with collector_paused(MANY):
        built = [[number] for number in range(1000)]
    assert not any(each is built for each in gc.get_objects(generation=0))
    assert any(each is built for each in gc.get_objects(generation=2))
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with collector_paused(MANY):
            pass
        assert gc.get_freeze_count() >= frozen > 0
    finally:
        gc.unfreeze()


def test_a_few_values_are_built_as_ever() -> None:
    with collector_paused(MANY - 1):
        assert gc.isenabled()
