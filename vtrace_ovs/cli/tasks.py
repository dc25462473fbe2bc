"""Turns ``vtrace add``, ``list``, ``watch``, ``result`` and ``cancel`` into reads and writes of the task database."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vtrace_ovs.cli.api import add_vtrace, find_task, open_store
from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode, code_of_verdict, code_without_result
from vtrace_ovs.cli.options import (
    DestinationOption,
    FilterArgument,
    Format,
    FormatOption,
    PacketCountOption,
    SourceOption,
    TaskArgument,
    TraceTimeOption,
    VerboseOption,
    VniOption,
)
from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.task import DEFAULT_PACKET_COUNT, DEFAULT_TRACE_TIME, Task
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.rendering.document import result_document, task_document, tasks_document
from vtrace_ovs.rendering.screen import result_lines
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


def add(
    filter_text: FilterArgument,
    packet_count: PacketCountOption = DEFAULT_PACKET_COUNT,
    trace_time: TraceTimeOption = DEFAULT_TRACE_TIME,
    vni: VniOption = None,
    source_vm: SourceOption = None,
    destination_vm: DestinationOption = None,
) -> None:
    """Ask the controller for a trace; prints the task's number."""
    number = add_vtrace(
        filter_text, packet_count, trace_time, vni=vni, source_vm=source_vm, destination_vm=destination_vm
    )
    emit_text(f"{number}\n")
    talk(f"task {number} waits for the controller: vtrace watch {number}")


def list_tasks(output: FormatOption = Format.TREE) -> None:
    """List every task and its state."""
    with open_store() as store:
        tasks = store.tasks()
    if output is Format.JSON:
        emit_text(tasks_document(tasks))
    else:
        emit(task_table(tasks, time.time()))


def watch(
    reference: TaskArgument = None,
    output: FormatOption = Format.TREE,
    verbose: VerboseOption = 0,
    wait: Annotated[
        float | None, typer.Option("--wait", metavar="SECONDS", help="Give up after this long. [trace time + 30]")
    ] = None,
) -> None:
    """Follow a task until it ends, then print its result."""
    with open_store() as store:
        task = find_task(store, reference)
        allowed = task.request.trace_time + GRACE if wait is None else wait
        task = _follow(store, task, time.monotonic() + allowed, output)
        found = store.result(task.id)
    raise typer.Exit(_report(task, found, output, verbose))


def _follow(store: "Store", task: Task, deadline: float, output: Format) -> Task:
    """Print each change of state until the task is final or the deadline (monotonic seconds) has passed."""
    shown: Task | None = None
    while True:
        if shown is None or (task.state, task.reason) != (shown.state, shown.reason):
            if output is Format.JSON and not task.state.final:
                emit_text(task_document(task))
            elif output is Format.TREE:
                emit([state_line(task, time.time())])
            shown = task
        left = deadline - time.monotonic()
        if task.state.final or left <= 0:
            return task
        time.sleep(min(POLL_INTERVAL, left))
        task = store.task(task.id) or task


def result(reference: TaskArgument = None, output: FormatOption = Format.TREE, verbose: VerboseOption = 0) -> None:
    """Print what a task found out."""
    with open_store() as store:
        task = find_task(store, reference)
        found = store.result(task.id)
    raise typer.Exit(_report(task, found, output, verbose))


def _report(task: Task, found: TaskResult | None, output: Format, verbose: int) -> ExitCode:
    if output is Format.JSON:
        emit_text(task_document(task) if found is None else result_document(found, task))
    elif found is not None:
        emit(result_lines(found, verbose))
    if found is not None:
        return code_of_verdict(found.verdict)
    why = task.reason or ("it ended without one" if task.state.final else "is vtrace controller running?")
    talk(f"task {task.id} is {task.state.value} and has no result: {why}")
    return code_without_result(task.state)


def cancel(number: Annotated[int, typer.Argument(metavar="TASK", help="Task number.")]) -> None:
    """Ask the controller to end a task early."""
    with open_store() as store:
        task = find_task(store, str(number))
        if task.state.final:
            raise UsageError(f"task {number} is {task.state.value} already: there is nothing to cancel")
        store.request_cancel(task.id)
    talk(f"task {number} will be cancelled: vtrace watch {number}")
