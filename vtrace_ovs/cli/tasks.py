"""Turns ``vtrace add``, ``list``, ``watch``, ``result`` and ``cancel`` into reads and writes of the task database."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vtrace_ovs.cli.api import add_vtrace, find_task, open_store
from vtrace_ovs.cli.captures import write_capture
from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.options import (
    BothOption,
    DestinationOption,
    FilterArgument,
    Format,
    FormatOption,
    PacketCountOption,
    ResultFormat,
    ResultFormatOption,
    SourceOption,
    TaskArgument,
    TraceTimeOption,
    VerboseOption,
    VniOption,
    WideOption,
)
from vtrace_ovs.cli.reporting import report, report_counts, report_exchange
from vtrace_ovs.cli.reports import write_report
from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.task import DEFAULT_PACKET_COUNT, DEFAULT_TRACE_TIME, Task
from vtrace_ovs.rendering.document import task_document, tasks_document
from vtrace_ovs.rendering.tasks import state_line, task_table

if TYPE_CHECKING:
    from vtrace_ovs.storage.store import Store

POLL_INTERVAL = 0.2
GRACE = 30
"""Seconds ``watch`` allows beyond the trace time for arming, draining and the verdict."""


def register(app: typer.Typer) -> None:
    """Add the task commands."""
    app.command("add")(add)
    app.command("list")(list_tasks)
    app.command("watch")(watch)
    app.command("result")(result)
    app.command("cancel")(cancel)


def add(  # noqa: PLR0913, PLR0917 - one parameter per option
    filter_text: FilterArgument,
    packet_count: PacketCountOption = DEFAULT_PACKET_COUNT,
    trace_time: TraceTimeOption = DEFAULT_TRACE_TIME,
    vni: VniOption = None,
    source_vm: SourceOption = None,
    destination_vm: DestinationOption = None,
    wide: WideOption = False,
    both: BothOption = False,
) -> None:
    """Ask the controller for a trace; prints the task's number."""
    number = add_vtrace(
        filter_text,
        packet_count,
        trace_time,
        vni=vni,
        source_vm=source_vm,
        destination_vm=destination_vm,
        wide=wide,
        both=both,
    )
    emit_text(f"{number}\n")
    talk(f"task {number} waits for the controller: vtrace watch {number}")


def list_tasks(output: FormatOption = Format.TREE) -> None:
    """List every task, its state and what it found."""
    with open_store() as store:
        tasks, headlines = store.tasks(), store.headlines()
    if output is Format.JSON:
        emit_text(tasks_document(tasks, headlines))
    else:
        emit(task_table(tasks, headlines, time.time()))


def watch(
    reference: TaskArgument = None,
    output: ResultFormatOption = ResultFormat.TREE,
    verbose: VerboseOption = 0,
    wait: Annotated[
        float | None, typer.Option("--wait", metavar="SECONDS", help="Give up after this long. [trace time + 30]")
    ] = None,
) -> None:
    """Follow a task until it ends, then print its result."""
    with open_store() as store:
        task = find_task(store, reference)
        allowed = task.request.trace_time + GRACE if wait is None else wait
        deadline = time.monotonic() + allowed
        task = _follow(store, task, deadline, output)
        reply = store.answering(task.id)
        if reply is not None:
            _follow(store, reply, deadline, output)
        code = _report(store, task, output, verbose)
    raise typer.Exit(code)


def _follow(store: "Store", task: Task, deadline: float, output: ResultFormat) -> Task:
    """Print each change of state until the task is final or the deadline (monotonic seconds) has passed."""
    shown: Task | None = None
    while True:
        if shown is None or (task.state, task.reason) != (shown.state, shown.reason):
            if output is ResultFormat.JSON and not task.state.final:
                emit_text(task_document(task))
            elif output is ResultFormat.TREE:
                emit([state_line(task, time.time())])
            shown = task
        left = deadline - time.monotonic()
        if task.state.final or left <= 0:
            return task
        time.sleep(min(POLL_INTERVAL, left))
        task = store.task(task.id) or task


def result(
    reference: TaskArgument = None,
    output: ResultFormatOption = ResultFormat.TREE,
    verbose: VerboseOption = 0,
    capture: Annotated[
        Path | None, typer.Option("--pcapng", metavar="FILE", help="Write every copy, each with a comment.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report, one page.")] = None,
) -> None:
    """Print what a task found out."""
    with open_store() as store:
        task = find_task(store, reference)
        if task.request.interval is not None and (capture or page or output is ResultFormat.DOT):
            raise UsageError(f"task {task.id} counted packets, it traced none: there is only -o tree or -o json of it")
        if capture is not None:
            write_capture(store, _directions(store, task), capture)
        if page is not None:
            write_report(store, _directions(store, task), page)
        code = _report(store, task, output, verbose)
    raise typer.Exit(code)


def _directions(store: "Store", task: Task) -> tuple[Task, ...]:
    """The task, and the one for its replies where they are traced too."""
    reply = store.answering(task.id)
    return (task,) if reply is None else (task, reply)


def _report(store: "Store", task: Task, output: ResultFormat, verbose: int) -> ExitCode:
    """Print a task's result; with the replies' and the verdict on both where they are traced too."""
    if task.request.interval is not None:
        kind = Format.JSON if output is ResultFormat.JSON else Format.TREE
        return report_counts(task, store.counts(task.id), kind, verbose)
    reply, found = store.answering(task.id), store.result(task.id)
    if reply is None:
        return report(task, found, output, verbose)
    return report_exchange((task, reply), (found, store.result(reply.id)), output, verbose)


def cancel(number: Annotated[int, typer.Argument(metavar="TASK", help="Task number.")]) -> None:
    """Ask the controller to end a task early."""
    with open_store() as store:
        task = find_task(store, str(number))
        if task.state.final:
            raise UsageError(f"task {number} is {task.state.value} already: there is nothing to cancel")
        store.request_cancel(task.id)
    talk(f"task {number} will be cancelled: vtrace watch {number}")
