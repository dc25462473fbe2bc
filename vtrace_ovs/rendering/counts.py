"""Turns what a task has counted into its screen and its JSON document."""

from collections.abc import Iterator
from datetime import UTC, datetime

from vtrace_ovs.model.counting import CountReport, Interval, Loss
from vtrace_ovs.model.task import Task
from vtrace_ovs.rendering.document import SCHEMA, Json, document_text, task_fields, verdict_fields
from vtrace_ovs.rendering.lines import Line, Span, Style, line
from vtrace_ovs.rendering.phrases import cause_phrase, packets_phrase, where_phrase
from vtrace_ovs.rendering.screen import evidence_lines, titled, verdict_line

CLEAN_SHOWN = 20
"""So many intervals are all shown; of more only those that lost packets or cannot be told, unless asked for."""


def counts_lines(report: CountReport, verbose: int = 0) -> Iterator[Line]:
    """The whole screen: the verdict, every VFD in sum, the intervals, and notes."""
    verdict, counted = report.verdict, report.counted
    yield verdict_line(verdict)
    yield line(f"  {verdict.operator_sentence}")
    yield line(f"  For the tenant: {verdict.tenant_sentence}")
    if verdict.remedy:
        yield line(f"  Remedy: {verdict.remedy}")
    lengths = f"{len(counted.intervals)} intervals of {report.interval} s"
    yield line(f"  {packets_phrase(counted.entered)} counted, {counted.lost} of them lost, in {lengths}")
    yield from _vfds(report)
    yield from _intervals(report, verbose)
    if verbose:
        yield from titled("Evidence", (fact for place in counted.by_place() for fact in evidence_lines(place.verdict)))
    if counted.other_dscp:
        yield line(f"Note: {packets_phrase(counted.other_dscp)} had a DSCP that is not counted.")
    for note in report.notes:
        yield line(f"Note: {note}")


def _vfds(report: CountReport) -> Iterator[Line]:
    sums: dict[str, tuple[int, ...]] = {}
    for interval in report.counted.intervals:
        for vfd in interval.vfds:
            here = (vfd.came, vfd.sent, vfd.ended, vfd.dropped)
            total = sums.get(str(vfd.bridge), (0, 0, 0, 0))
            sums[str(vfd.bridge)] = tuple(a + b for a, b in zip(total, here, strict=True))
    if sums:
        width = max(map(len, sums))
        yield line()
        yield line(Span(f"{'VFD':<{width}}  {'in':>9}  {'by tunnel':>9}  {'out':>9}  {'dropped':>9}", Style.STRONG))
        for name, (came, sent, ended, dropped) in sums.items():
            yield line(f"{name:<{width}}  {came:>9}  {sent:>9}  {ended - dropped:>9}  {dropped:>9}")


def _intervals(report: CountReport, verbose: int) -> Iterator[Line]:
    intervals = report.counted.intervals
    everything = verbose or len(intervals) <= CLEAN_SHOWN
    shown = [one for one in intervals if everything or one.losses or one.unknown]
    if not shown:
        return
    yield line()
    yield line(Span(f"{'began (UTC)':<23}  {'colored':>9}  {'lost':>7}", Style.STRONG))
    for interval in shown:
        yield from _interval(interval)
    if len(shown) < len(intervals):
        yield line(Span(f"{len(intervals) - len(shown)} more without loss (-v shows them)", Style.FAINT))


def _interval(interval: Interval) -> Iterator[Line]:
    began = datetime.fromtimestamp(interval.began_at, UTC).isoformat(sep=" ", timespec="milliseconds")[:23]
    style = Style.BAD if interval.losses else Style.UNSURE if interval.unknown else Style.PLAIN
    lost = "?" if interval.unknown and not interval.losses else str(interval.lost)
    yield line(f"{began}  {interval.entered:>9}  ", Span(f"{lost:>7}", style))
    for loss in interval.losses:
        yield line(Span(f"    {_loss_phrase(loss)}", Style.BAD))
    if interval.unknown:
        yield line(Span(f"    not all can be told: {interval.unknown}", Style.UNSURE))


def _loss_phrase(loss: Loss) -> str:
    """``12: underlay-loss (physical_network) between cs1/br-int and gw1/br-int``; the verdict has it in full."""
    culprit = loss.verdict.culprit
    where = "" if culprit is None else f" {where_phrase(culprit)}"
    return f"{loss.packets}: {cause_phrase(loss.verdict)}{where}"


def counts_document(report: CountReport, task: Task) -> str:
    """The report as JSON text (``docs/json.md``)."""
    counted = report.counted
    document: Json = {
        "schema": SCHEMA,
        "task": task_fields(task),
        "verdict": verdict_fields(report.verdict),
        "packets": counted.entered,
        "lost": counted.lost,
        "other_dscp": counted.other_dscp,
        "interval": report.interval,
        "places": [
            {
                "packets": place.packets,
                "verdict": verdict_fields(place.verdict),
                "intervals": [[one.began_at, one.ended_at] for one in place.intervals],
            }
            for place in counted.by_place()
        ],
        "intervals": [_interval_document(interval) for interval in counted.intervals],
        "notes": list(report.notes),
    }
    return document_text(document)


def _interval_document(interval: Interval) -> Json:
    return {
        "began_at": interval.began_at,
        "ended_at": interval.ended_at,
        "packets": interval.entered,
        "unknown": interval.unknown,
        "vfds": [
            {"bridge": str(v.bridge), "in": v.came, "tunnel": v.sent, "ended": v.ended, "dropped": v.dropped}
            for v in interval.vfds
        ],
        "losses": [
            {"packets": loss.packets, "code": loss.verdict.code.value, "sentence": loss.verdict.operator_sentence}
            for loss in interval.losses
        ],
    }
