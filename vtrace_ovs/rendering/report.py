"""Turns what a task found out, alone or with the one for its replies, into an HTML report: one page, no scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vtrace_ovs.model.records import CounterSample
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import PathGroup, TaskResult, Verdict
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.rendering.diagram import path_diagram
from vtrace_ovs.rendering.graph import group_graph
from vtrace_ovs.rendering.lines import Style
from vtrace_ovs.rendering.page import Cell, Row, figure, heading, page, paragraph, table, titled
from vtrace_ovs.rendering.path import origin_phrase
from vtrace_ovs.rendering.phrases import mark, packets_phrase
from vtrace_ovs.rendering.report_tables import (
    cost_table,
    counter_table,
    lookup_table,
    loss_table,
    near_miss_table,
    packet_table,
    traffic_phrase,
)
from vtrace_ovs.rendering.screen import BEFORE_THE_LAST, verdict_line
from vtrace_ovs.rendering.tasks import request_phrase


@dataclass(frozen=True, slots=True)
class Report:
    """All that is kept of one task. ``packets`` are its observed ways, each with its group where that is known."""

    task: Task
    result: TaskResult | None
    packets: tuple[tuple[Trajectory, PathGroup | None], ...] = ()
    samples: tuple[CounterSample, ...] = ()


def report_page(reports: Sequence[Report], both: Verdict | None = None) -> str:
    """One page for a task, or for a task and the one for its replies with the verdict on ``both``."""
    title = f"Trace of {request_phrase(reports[0].task)}"
    return page(title, _parts(title, reports, both))


def _parts(title: str, reports: Sequence[Report], both: Verdict | None) -> Iterator[str]:
    yield heading(1, title)
    if both is not None:
        yield from _verdict(both, 2)
    for name, report in zip(("Request", "Reply"), reports, strict=False):
        if len(reports) > 1:
            yield heading(2, name)
        yield from _report(report)


def _report(report: Report) -> Iterator[str]:
    result = report.result
    if result is None:
        yield paragraph(f"Task {report.task.id} is {report.task.state.value} and has no result.", Style.UNSURE)
    else:
        yield from _verdict(result.verdict, 2)
    yield table((), _facts(report.task))
    if result is not None:
        if len(result.losses) > 1:
            yield from titled(3, "Losses", loss_table(result))
        yield from _groups(result)
        if len(result.losses) <= 1:
            yield from titled(3, "Near misses", near_miss_table(result.verdict.near_misses))
            facts = (("observed" if one.observed else "inferred", one.sentence) for one in result.verdict.evidence)
            yield from titled(3, "Evidence", table(("how it is known", "fact"), facts))
        yield from titled(3, "Notes", "".join(paragraph(note) for note in result.notes))
    groups = () if result is None else result.groups
    yield from titled(3, "Packets", packet_table(report.packets, groups))
    yield from titled(3, "Counters that changed", counter_table(report.samples))
    if result is not None:
        yield from titled(3, "What it cost the servers", cost_table(result.costs))


def _verdict(verdict: Verdict, level: int) -> Iterator[str]:
    yield heading(level, verdict_line(verdict).shown, mark(verdict.disposition).style)
    yield table((), _sentences(verdict))


def _sentences(verdict: Verdict) -> Iterator[Row]:
    culprit = verdict.culprit
    yield "For the operator", verdict.operator_sentence
    yield "For the tenant", Cell((verdict.tenant_sentence,), Style.STRONG)
    if culprit is not None and culprit.flow is not None:
        yield "Flow", flow_text(culprit.flow, culprit.cookie)
    if culprit is not None and culprit.owner is not None:
        yield "Owner", culprit.owner
    if verdict.remedy:
        yield "Remedy", verdict.remedy


def _facts(task: Task) -> Iterator[Row]:
    yield f"Task {task.id}", request_phrase(task)
    yield "State", task.state.value if task.reason is None else f"{task.state.value}: {task.reason}"
    yield "Asked for", f"{packets_phrase(task.request.packet_count)} within {task.request.trace_time} s"
    for name, at in (("Added", task.created_at), ("Armed", task.armed_at), ("Ended", task.ended_at)):
        if at is not None:
            yield name, datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="milliseconds")


def _groups(result: TaskResult) -> Iterator[str]:
    lost = f"; {result.copies_lost} copies lost on the way to the controller" if result.copies_lost else ""
    yield heading(3, f"{packets_phrase(result.packets)} traced{lost}")
    for number, group in enumerate(result.groups, start=1):
        way = group.example
        title = f"Path {number}: {packets_phrase(group.packets)} as {traffic_phrase(way)} ({origin_phrase(way)})"
        yield heading(3, title)
        yield paragraph(verdict_line(group.verdict).shown, mark(group.verdict.disposition).style)
        if way.ambiguous:
            yield paragraph("Equal packets could not be told apart: hops may belong to a twin.", Style.UNSURE)
        if way.hops:
            yield figure(path_diagram(group_graph(group), title))
        yield lookup_table(group)
        if way.hops and group.prediction is not None:
            yield paragraph(BEFORE_THE_LAST, Style.FAINT)
