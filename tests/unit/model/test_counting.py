from vtrace_ovs.model.counting import CountOutcome, CountReport, Interval, Loss, LossKind
from vtrace_ovs.model.verdict import CauseCode, Culprit

WIRE = (LossKind.ON_WIRE, CauseCode.UNDERLAY_LOSS, Culprit("s1", next_node="s2"))
METER = (LossKind.BY_METER, CauseCode.METER_RATE_LIMIT, Culprit("s1", meter_id=7))
CLEAN = Interval(1.0, 2.0, 100)
LOSSY = Interval(2.0, 3.0, 100, losses=(Loss(*WIRE, 1), Loss(*METER, 5)))
WORSE = Interval(3.0, 4.0, 100, losses=(Loss(*WIRE, 9),))
OPEN = Interval(4.0, 5.0, 100, losses=(), unknown="the flow tables of s1/br0 changed")


def report(*intervals: Interval) -> CountReport:
    return CountReport(1, 1, intervals)


def test_loss_in_one_interval_is_loss_whatever_the_others_say() -> None:
    assert report(CLEAN, LOSSY, OPEN).outcome is CountOutcome.LOSS


def test_no_loss_is_only_said_when_every_interval_closed_and_there_was_traffic() -> None:
    assert report(CLEAN).outcome is CountOutcome.LOSSLESS
    assert report(CLEAN, OPEN).outcome is CountOutcome.UNKNOWN
    assert report(Interval(1.0, 2.0, 0)).outcome is CountOutcome.UNSEEN
    assert report().outcome is CountOutcome.UNKNOWN


def test_what_did_not_close_counts_for_nothing() -> None:
    found = report(CLEAN, LOSSY, OPEN)
    assert (found.entered, found.lost, found.closed) == (200, 6, (CLEAN, LOSSY))


def test_each_place_is_named_once_with_all_it_lost_and_when_the_worst_first() -> None:
    assert report(CLEAN, LOSSY, WORSE).by_place() == (
        (Loss(*WIRE, 10), (LOSSY, WORSE)),
        (Loss(*METER, 5), (LOSSY,)),
    )
