from dataclasses import replace

from vtrace_ovs.diagnosis.counted import count_report
from vtrace_ovs.model.counting import Counted, Interval, Loss
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Verdict

WIRE = Verdict(
    Disposition.LOST_ON_WIRE,
    CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_LOSS,
    Confidence.CORROBORATED,
    "Lost between s1/br0 and s2/br0.",
    "tenant",
    culprit=Culprit("s1"),
)
AT = 1_700_000_000.0  # 22:13:20 UTC


def interval(second: int, *, lost: int = 0, entered: int = 1000, unknown: str | None = None) -> Interval:
    losses = (Loss(lost, WIRE),) if lost else ()
    return Interval(AT + second, AT + second + 1, entered, losses=losses, unknown=unknown)


def verdict(*intervals: Interval) -> Verdict:
    return count_report(1, 1, Counted(intervals), ()).verdict


def test_a_place_is_told_with_its_share_and_the_moments_in_utc() -> None:
    found = verdict(interval(0), interval(1, lost=2), interval(2, lost=4), interval(3), interval(9, lost=3))
    assert found.operator_sentence == (
        "9 of 3000 packets (0.3 %), 2023-11-14 22:13:21 to 2023-11-14 22:13:23, 2023-11-14 22:13:29 to "
        "2023-11-14 22:13:30 UTC: lost between s1/br0 and s2/br0."
    )
    assert replace(found, operator_sentence=WIRE.operator_sentence) == WIRE


def test_of_many_moments_some_are_named_and_the_others_counted() -> None:
    assert "and 3 times more UTC" in verdict(*(interval(2 * at, lost=1) for at in range(8))).operator_sentence


def test_loss_is_told_whatever_the_other_intervals_say() -> None:
    assert verdict(interval(0, lost=1), interval(1, unknown="tables changed")).code is CauseCode.UNDERLAY_LOSS


def test_no_loss_is_only_said_when_every_interval_closed_and_there_was_traffic() -> None:
    assert verdict(interval(0), interval(1)).disposition is Disposition.DELIVERED
    assert verdict(interval(0, entered=0)).disposition is Disposition.UNSEEN
    doubtful = verdict(interval(0), interval(1, unknown="tables changed"))
    assert doubtful.disposition is Disposition.INCONCLUSIVE
    assert doubtful.operator_sentence == (
        "No loss is proven, but of 1 of 2 intervals not all can be told: tables changed."
    )
    nothing = verdict()
    assert nothing.disposition is Disposition.INCONCLUSIVE
    assert nothing.operator_sentence == "Counting ended before any interval was over."
