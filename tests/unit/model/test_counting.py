from dataclasses import replace

from vtrace_ovs.model.counting import Counted, Interval, Loss, MeterWindow, PlaceOfLoss
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

WIRE = Verdict(
    Disposition.LOST_ON_WIRE,
    CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_LOSS,
    Confidence.CORROBORATED,
    "operator",
    "tenant",
)
METER = Verdict(
    Disposition.DROPPED,
    CauseCategory.RATE_LIMIT,
    CauseCode.METER_RATE_LIMIT,
    Confidence.CORROBORATED,
    "operator",
    "tenant",
)
CLEAN = Interval(1.0, 2.0, 100)
LOSSY = Interval(2.0, 3.0, 100, losses=(Loss(1, WIRE), Loss(5, METER)))
WORSE = Interval(3.0, 4.0, 100, losses=(Loss(9, WIRE),))
OPEN = Interval(4.0, 5.0, 100, unknown="the flow tables of s1/br0 changed")


def test_packets_and_losses_are_those_of_all_intervals() -> None:
    found = Counted((CLEAN, LOSSY, OPEN))
    assert (found.entered, found.lost, found.doubtful) == (300, 6, (OPEN,))


def test_each_place_is_named_once_with_all_it_lost_and_when_the_worst_first() -> None:
    assert Counted((CLEAN, LOSSY, WORSE)).by_place() == (
        PlaceOfLoss(10, WIRE, (LOSSY, WORSE)),
        PlaceOfLoss(5, METER, (LOSSY,)),
    )


def test_a_place_is_no_surer_than_the_least_sure_of_its_losses() -> None:
    unsure = replace(WIRE, confidence=Confidence.INFERRED)
    for first, second in ((WIRE, unsure), (unsure, WIRE)):
        intervals = (replace(CLEAN, losses=(Loss(1, first),)), replace(CLEAN, losses=(Loss(2, second),)))
        (place,) = Counted(intervals).by_place()
        assert (place.packets, place.verdict) == (3, unsure)


def test_of_what_a_meter_dropped_only_what_cannot_be_others_is_sure() -> None:
    here = BridgeId("s1", "br0")
    few = MeterWindow(here, 7, passed=100, others=3, dropped=10)
    assert (few.surely, few.likely) == (7, 10)
    many = replace(few, others=30)
    assert (many.surely, many.likely) == (0, 0)
