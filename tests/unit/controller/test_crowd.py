from vtrace_ovs.controller.crowd import Crowd

RATE, ROOM = 2000.0, 128.0


def test_many_at_once_are_a_crowd() -> None:
    crowd = Crowd(RATE, ROOM)
    assert not crowd.grows(127, 5.0)
    assert crowd.grows(1, 5.0)


def test_more_than_the_rate_for_long_are_a_crowd() -> None:
    crowd = Crowd(RATE, ROOM)
    assert any(crowd.grows(30, 5.0 + 0.01 * turn) for turn in range(13))


def test_as_many_as_the_rate_are_none_however_long_they_come() -> None:
    crowd = Crowd(RATE, ROOM)
    assert not any(crowd.grows(20, 5.0 + 0.01 * turn) for turn in range(1000))


def test_after_a_crowd_it_is_counted_anew() -> None:
    crowd = Crowd(RATE, ROOM)
    assert crowd.grows(500, 5.0)
    assert not crowd.grows(127, 5.0)
    assert crowd.grows(1, 5.0)
