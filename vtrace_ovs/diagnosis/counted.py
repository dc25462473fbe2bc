"""Turns all intervals of a task into its report: what was lost at which place, which share of it, and when."""

from dataclasses import replace
from datetime import UTC, datetime

from vtrace_ovs.diagnosis.case import Finding, verdict_of
from vtrace_ovs.diagnosis.conclusion import lowered
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.counting import Counted, CountReport, Interval, PlaceOfLoss
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, Verdict

NAMED_MOMENTS = 5
TOGETHER = 0.5
"""Intervals at most so many seconds apart are told as one moment."""


def count_report(task_id: int, interval: int, found: Counted, notes: tuple[str, ...]) -> CountReport:
    """The report, with the verdict on everything that was counted."""
    return CountReport(task_id, interval, _verdict(found), found, notes)


def _verdict(found: Counted) -> Verdict:
    places = found.by_place()
    if places:
        worst = places[0].verdict
        return replace(worst, operator_sentence=" ".join(_told(place) for place in places))
    unknown = found.doubtful
    if unknown:
        number = f"{len(unknown)} of {counted(len(found.intervals), 'interval')}"
        why = f"No loss is proven, but of {number} not all can be told: {unknown[0].unknown}."
        return _plain(Disposition.INCONCLUSIVE, CauseCode.UNKNOWN, Confidence.UNDECIDED, why)
    if not found.intervals:
        why = "Counting ended before any interval was over."
        return _plain(Disposition.INCONCLUSIVE, CauseCode.UNKNOWN, Confidence.UNDECIDED, why)
    if not found.entered:
        sentence = "No packet of this traffic came in while packets were counted."
        return _plain(Disposition.UNSEEN, CauseCode.NOT_SENT, Confidence.CORROBORATED, sentence)
    sentence = (
        f"None of {counted(found.entered, 'packet')} was lost in {counted(len(found.intervals), 'interval')}: each was "
        "counted in and out of every device on its way."
    )
    return _plain(Disposition.DELIVERED, CauseCode.NONE, Confidence.CORROBORATED, sentence)


def _plain(disposition: Disposition, code: CauseCode, confidence: Confidence, sentence: str) -> Verdict:
    return replace(verdict_of(Finding(disposition, code, confidence, Particulars()), None), operator_sentence=sentence)


def _told(place: PlaceOfLoss) -> str:
    """``12 of 1800 packets (0.67 %), 02:31:04 to 02:31:06 UTC: lost between …``; the share is that of these times."""
    entered = sum(interval.entered for interval in place.intervals)
    share = f" ({100 * place.packets / entered:.3g} %)" if entered else ""
    spans = _moments(place.intervals)
    more = f" and {len(spans) - NAMED_MOMENTS} times more" if len(spans) > NAMED_MOMENTS else ""
    when = ", ".join(f"{_clock(since)} to {_clock(until)}" for since, until in spans[:NAMED_MOMENTS])
    lost = f"{place.packets} of {counted(entered, 'packet')}{share}, {when}{more} UTC"
    return f"{lost}: {lowered(place.verdict.operator_sentence)}"


def _moments(intervals: tuple[Interval, ...]) -> list[tuple[float, float]]:
    """When it was (Unix seconds); intervals that follow each other are one time."""
    spans: list[tuple[float, float]] = []
    for interval in intervals:
        if spans and interval.began_at - spans[-1][1] <= TOGETHER:
            spans[-1] = (spans[-1][0], interval.ended_at)
        else:
            spans.append((interval.began_at, interval.ended_at))
    return spans


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
