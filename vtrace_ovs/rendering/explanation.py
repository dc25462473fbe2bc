"""Turns a predicted way and its verdict into the screen of ``vtrace explain``."""

from collections.abc import Iterator, Sequence

from vtrace_ovs.model.agreement import Agreement, Examined
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.model.wording import flow_text, match_text
from vtrace_ovs.rendering.lines import Branch, Line, Span, Style, line, tree
from vtrace_ovs.rendering.path import near_miss_line, origin_phrase, path_branches
from vtrace_ovs.rendering.screen import verdict_line

_BLANK = Line()
_MARKS = {True: Span("✓", Style.GOOD), False: Span("✗", Style.BAD), None: Span("?", Style.UNSURE)}


def explanation_lines(
    result: TaskResult, agreements: Sequence[Agreement] = (), detail: int = 0, examined: Sequence[Examined] = ()
) -> Iterator[Line]:
    """The whole screen. Every lookup is shown with its actions.

    ``detail`` 1 adds what each lookup nearly matched, and what all lookups of a bridge looked at.
    """
    verdict = result.verdict
    yield verdict_line(verdict)
    yield line("  ", verdict.operator_sentence)
    culprit = verdict.culprit
    if culprit is not None and culprit.flow is not None:
        yield line("  Flow: ", Span(flow_text(culprit.flow, culprit.cookie), Style.STRONG))
    if culprit is not None and culprit.owner is not None:
        yield line("  Owner: ", culprit.owner)
    if verdict.remedy:
        yield line("  Remedy: ", verdict.remedy)
    for group in result.groups:
        way = group.example
        what = "unreadable headers" if way.five_tuple is None else str(way.five_tuple)
        yield _BLANK
        yield line(Span(f"{what} ({origin_phrase(way)})", Style.STRONG))
        yield from tree(path_branches(way, verdict, detail + 1))
    yield from _block("Near misses", (near_miss_line(near) for near in verdict.near_misses))
    yield from _block("Also", (line(fact.sentence) for fact in verdict.evidence))
    seen = examined if detail else ()
    yield from _block("Looked at", (line(f"{one.bridge}: {match_text(one.match)}") for one in seen))
    if agreements:
        yield _BLANK
        yield line(Span("Open vSwitch itself (ofproto/trace)", Style.STRONG))
        yield from tree([_agreement(one) for one in agreements])
    yield from _block("Notes", (line(note) for note in result.notes))


def _block(title: str, lines: Iterator[Line]) -> Iterator[Line]:
    shown = list(lines)
    if shown:
        yield _BLANK
        yield line(Span(title, Style.STRONG))
        yield from (Line((Span("  "), *one.spans)) for one in shown)


def _agreement(one: Agreement) -> Branch:
    trace = one.trace
    facts: list[str] = []
    if trace is not None:
        facts = [f"datapath actions: {actions}" for actions in trace.datapath_actions]
        facts += [f"megaflow: {trace.megaflow}"] if trace.megaflow else []
        facts += list(trace.notes)
    children = [Branch(line(Span(fact, Style.FAINT))) for fact in facts]
    children += [Branch(line(_MARKS[one.follows], f" {one.datapath}"))] if one.datapath else []
    return Branch(line(_MARKS[one.agrees], f" from {one.entry}: {one.sentence}"), tuple(children))
