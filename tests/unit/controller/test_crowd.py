from vtrace_ovs.controller.crowd import Crowd

RATE, BURST = 2000.0, 256


def test_many_at_once_are_a_crowd() -> None:
    crowd = Crowd(RATE, BURST)
    assert not crowd.grows(127, 5.0)
    assert crowd.grows(1, 5.0)


def test_more_than_the_rate_for_long_are_a_crowd() -> None:
    crowd = Crowd(RATE, BURST)
    assert any(crowd.grows(30, 5.0 + 0.01 * turn) for turn in range(13))


def test_as_many_as_the_rate_are_none_however_long_they_come() -> None:
    crowd = Crowd(RATE, BURST)
    assert not any(crowd.grows(20, 5.0 + 0.01 * turn) for turn in range(1000))


def test_after_a_crowd_it_is_counted_anew() -> None:
    crowd = Crowd(RATE, BURST)
    assert crowd.grows(500, 5.0)
    assert not crowd.grows(127, 5.0)
    assert crowd.grows(1, 5.0)


def test_half_of_a_smaller_burst_is_a_crowd_and_a_meter_that_is_set_is_full() -> None:
    crowd = Crowd(RATE, BURST)
    assert not crowd.grows(127, 5.0)
    crowd.expect(BURST // 2)
    assert not crowd.grows(63, 5.0)
    assert crowd.grows(1, 5.0)
