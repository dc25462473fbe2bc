"""Turns a task's result into the screen an operator reads: verdict first, then grouped paths, then evidence."""

from collections.abc import Iterable, Iterator

from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Disposition, Exchange, PathGroup, TaskResult, Verdict
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.rendering.costs import cost_lines
from vtrace_ovs.rendering.lines import Line, Span, Style, line, tree
from vtrace_ovs.rendering.path import near_miss_phrase, origin_phrase, path_branches, route_phrase
from vtrace_ovs.rendering.phrases import (
    cause_phrase,
    confidence_phrase,
    mark,
    packets_phrase,
    share_phrase,
    where_phrase,
)

BEFORE_THE_LAST = "The last table of each hop was seen; those before it are by the stored flow tables."

_BLANK = Line()


def result_lines(result: TaskResult, detail: int = 0) -> Iterator[Line]:
    """The whole screen of one task.

    ``detail`` is how often ``-v`` was given: 1 shows every flow and the verdict's near misses, 2 each table's near
    misses and the prediction.
    """
    several = len(result.losses) > 1
    yield verdict_line(result.verdict)
    yield from _sentences(result.verdict, () if several else _particulars(result.verdict, detail))
    if several:
        yield from _losses(result, detail)
    yield from _summary(result)
    for group in result.groups:
        yield from _group(result, group, detail)
    if not several:
        yield from titled("Evidence", evidence_lines(result.verdict))
    yield from titled("Notes", (line("  ", note) for note in result.notes))
    if detail and result.armed:
        armed = f"{len(result.armed):,} of {result.vfds:,} VFDs armed, those the traffic could come to"
        yield from titled("Scope", iter((line("  ", armed),)))
    if result.costs:
        yield _BLANK
        yield from cost_lines(result.costs, detail)


def exchange_lines(both: Exchange, detail: int = 0) -> Iterator[Line]:
    """The screen of both directions: the verdict on the two, then a whole screen for each."""
    yield verdict_line(both.verdict)
    yield from _sentences(both.verdict, _particulars(both.verdict, detail))
    yield _BLANK
    yield line(Span("Request", Style.STRONG))
    yield from result_lines(both.request, detail)
    if both.reply is not None:
        yield _BLANK
        yield line(Span("Reply", Style.STRONG))
        yield from result_lines(both.reply, detail)


def verdict_line(verdict: Verdict) -> Line:
    """What, where, why and how sure, in one line."""
    parts: list[str | Span] = [mark(verdict.disposition), " ", Span(verdict.disposition.value, Style.STRONG)]
    if verdict.culprit is not None:
        parts.append(f" {where_phrase(verdict.culprit)}")
    cause = cause_phrase(verdict)
    if cause:
        parts += [": ", Span(cause, Style.STRONG)]
    parts += [" — ", confidence_phrase(verdict.confidence)]
    return line(*parts)


def _sentences(verdict: Verdict, particulars: Iterable[Line]) -> Iterator[Line]:
    yield line("  ", verdict.operator_sentence)
    yield from particulars
    if verdict.remedy:
        yield line("  Remedy: ", verdict.remedy)
    if verdict.disposition is Disposition.DROPPED:
        yield line(Span("  The trace of these packets ends here: further blockers may follow.", Style.FAINT))
    yield line("  For the tenant: ", Span(f'"{verdict.tenant_sentence}"', Style.STRONG))


def _particulars(verdict: Verdict, detail: int) -> Iterator[Line]:
    """The flow to blame, whose it is, and which nearly matched instead: the nearest, or with ``detail`` all."""
    culprit = verdict.culprit
    if culprit is not None and culprit.flow is not None:
        yield line("  Flow: ", Span(flow_text(culprit.flow, culprit.cookie), Style.STRONG))
    if culprit is not None and culprit.owner is not None:
        yield line("  Owner: ", culprit.owner)
    for near in verdict.near_misses[: None if detail else 1]:
        yield line("  Near miss: ", near_miss_phrase(near))


def _losses(result: TaskResult, detail: int) -> Iterator[Line]:
    """Every distinct loss with its share of the packets, its place, its cause, and what is known of it."""
    yield _BLANK
    yield line(Span("Losses", Style.STRONG))
    for fate in result.losses:
        verdict = fate.verdict
        yield line("  ", Span(share_phrase(result, fate), Style.STRONG), ": ", *verdict_line(verdict).spans)
        own = (line("  ", verdict.operator_sentence), *_particulars(verdict, detail), *evidence_lines(verdict))
        yield from (Line((Span("  "), *one.spans)) for one in own)


def _summary(result: TaskResult) -> Iterator[Line]:
    yield _BLANK
    ways = f", {len(result.groups)} different ways" if len(result.groups) > 1 else ""
    lost = f"; {result.copies_lost} copies lost on the way to the controller" if result.copies_lost else ""
    yield line(Span(f"{packets_phrase(result.packets)} traced{ways}{lost}", Style.STRONG))
    if len(result.groups) > 1:
        width = len(str(result.packets))
        for group in result.groups:
            cause = cause_phrase(group.verdict)
            what = f"{group.verdict.disposition.value}{f', {cause}' if cause else ''}"
            yield line(
                f"  {group.packets:>{width}}  ",
                mark(group.verdict.disposition),
                f" {what}: {route_phrase(group.example)}",
            )


def _group(result: TaskResult, group: PathGroup, detail: int) -> Iterator[Line]:
    yield _BLANK
    yield line(Span(f"{group.packets} of {packets_phrase(result.packets)}: {_traffic(group.example)}", Style.STRONG))
    yield from _identity(group.example, detail)
    if _differs(group.verdict, result.verdict):
        yield verdict_line(group.verdict)
    yield from tree(path_branches(group.example, group.verdict, detail, group.prediction))
    if group.prediction is not None and group.example.hops:
        yield line(Span(BEFORE_THE_LAST, Style.FAINT))
    if detail > 1 and group.prediction is not None:
        yield line(Span("The stored flow tables say:", Style.STRONG))
        yield from tree(path_branches(group.prediction, group.verdict, detail))


def _differs(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts say different things about different places; their counts of packets do not matter."""
    return (one.disposition, one.code, one.culprit) != (other.disposition, other.code, other.culprit)


def _traffic(trajectory: Trajectory) -> str:
    what = str(trajectory.five_tuple) if trajectory.five_tuple is not None else "unreadable headers"
    return f"{what} ({origin_phrase(trajectory)})"


def _identity(trajectory: Trajectory, detail: int) -> Iterator[Line]:
    if trajectory.nat_key is not None:
        yield line(f"  after translation: {trajectory.nat_key}")
    if trajectory.ambiguous:
        yield line(Span("  equal packets could not be told apart: hops may belong to a twin", Style.UNSURE))
    if detail > 1:
        yield line(Span(f"  packet_id {trajectory.packet_id}, occurrence {trajectory.occurrence}", Style.FAINT))


def evidence_lines(verdict: Verdict) -> Iterator[Line]:
    """What a verdict rests on, a line for each fact."""
    for fact in verdict.evidence:
        yield line(f"  {'observed' if fact.observed else 'inferred'}  ", fact.sentence)


def titled(title: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Lines under a title; nothing where there are none."""
    shown = list(lines)
    if shown:
        yield _BLANK
        yield line(Span(title, Style.STRONG))
        yield from shown
