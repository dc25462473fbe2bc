"""Turns tasks into the lines of ``vtrace list`` and ``vtrace watch``."""

from collections.abc import Iterator, Mapping, Sequence

from vtrace_ovs.model.filter import Scope
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.verdict import CauseCode, Disposition, Headline
from vtrace_ovs.rendering.lines import Line, Span, Style, line
from vtrace_ovs.rendering.phrases import mark

_HEADINGS = ("TASK", "STATE", "PACKETS", "SECONDS", "AGE", "VERDICT", "FILTER")
_RIGHT = frozenset({"TASK", "PACKETS", "SECONDS", "AGE"})
_STYLES = {
    TaskState.DONE: Style.GOOD,
    TaskState.PARTIAL: Style.UNSURE,
    TaskState.INVALIDATED: Style.UNSURE,
    TaskState.FAILED: Style.BAD,
    TaskState.CANCELLED: Style.FAINT,
}
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def task_table(tasks: Sequence[Task], headlines: Mapping[int, Headline], now: float) -> Iterator[Line]:
    """One line per task in the order given, under headings. ``now`` is in Unix seconds."""
    if not tasks:
        yield line("no tasks")
        return
    rows = [_row(task, headlines.get(task.id), now) for task in tasks]
    widths = [max(len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    yield line(Span(_columns(_HEADINGS, widths), Style.STRONG))
    for task, row in zip(tasks, rows, strict=True):
        yield line(Span(_columns(row, widths), _style(task, headlines.get(task.id))), *_reason(task))


def state_line(task: Task, now: float) -> Line:
    """What ``watch`` prints when a task's state changes: ``task 3  +0.41 s  armed``."""
    since = max(0.0, (task.ended_at or now) - task.created_at)
    return line(
        f"task {task.id}  +{since:.2f} s  ",
        Span(task.state.value, _STYLES.get(task.state, Style.STRONG)),
        *_reason(task),
    )


def request_phrase(task: Task) -> str:
    """The filter and scope of a task."""
    answers = [] if task.request.answers is None else [f"(replies to task {task.request.answers})"]
    return " ".join([task.request.filter.text, *_scope(task.request.scope), *answers])


def _scope(scope: Scope) -> list[str]:
    options = (("--vni", scope.vni), ("--from", scope.source_vm), ("--to", scope.destination_vm))
    named = [f"{option} {value}" for option, value in options if value is not None]
    return [*named, "--wide"] if scope.wide else named


def _row(task: Task, headline: Headline | None, now: float) -> tuple[str, ...]:
    request = task.request
    packets = "all" if request.interval is not None else str(request.packet_count)  # counted, not traced
    numbers = (packets, str(request.trace_time))
    found = "" if headline is None else headline_phrase(headline)
    return (str(task.id), task.state.value, *numbers, _age(now - task.created_at), found, request_phrase(task))


def _style(task: Task, headline: Headline | None) -> Style:
    """Of a task that is done, what it found counts."""
    if task.state is TaskState.DONE and headline is not None:
        return mark(headline.disposition).style
    return _STYLES.get(task.state, Style.PLAIN)


def headline_phrase(headline: Headline) -> str:
    """``✗ DROPPED no-route at gw1/vr-blue``, ``✗ LOST_ON_WIRE underlay-loss after cs1/br-int``, or ``✓ DELIVERED``."""
    cause = "" if headline.code is CauseCode.NONE else f" {headline.code.value}"
    where = "after" if headline.disposition is Disposition.LOST_ON_WIRE else "at"
    place = "" if headline.blamed is None else f" {where} {headline.blamed}"
    return f"{mark(headline.disposition).text} {headline.disposition.value}{cause}{place}"


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _age(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def _reason(task: Task) -> list[Span]:
    if task.reason:
        return [Span(f"  {task.reason}")]
    return [Span("  cancellation requested", Style.FAINT)] if task.cancel_requested and not task.state.final else []
