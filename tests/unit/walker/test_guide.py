from vtrace_ovs.walker.guide import Choice, Guide


def test_what_is_said_of_a_group_is_good_for_one_visit() -> None:
    guide = Guide({1: 2})
    choice = Choice(1, (0, 2))
    assert guide.bucket(choice) == 2
    assert guide.open is None
    assert guide.bucket(choice) is None
    assert guide.open is choice


def test_the_first_group_nothing_was_said_of_is_told() -> None:
    guide = Guide({})
    first = Choice(1, (0, 1))
    assert guide.bucket(first) is None
    assert guide.bucket(Choice(2, (0, 1))) is None
    assert guide.open is first
