import pytest

from vtrace_ovs.session.questions import Questions


@pytest.mark.parametrize(
    ("moments", "unanswered"),
    [
        ((), False),
        ((1.0, 2.0), False),
        ((1.0, 2.0, 3.1), True),
        ((1.0, 30.0, 60.0, 90.0), False),
        ((5.0, 6.0, 50.0, 51.0), False),
    ],
    ids=["none", "one lost", "three in a row", "asked anew now and then", "lost now and then"],
)
def test_who_is_asked_for_again_at_once_does_not_answer(moments: tuple[float, ...], unanswered: bool) -> None:
    questions = Questions()
    for at in moments:
        questions.add(at)
    assert (questions.times, questions.unanswered) == (len(moments), unanswered)
