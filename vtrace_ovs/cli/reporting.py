"""Turns what a task found out, alone or with the one for its replies, into output and an exit code."""

from typing import assert_never

from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode, code_of_verdict, code_without_result
from vtrace_ovs.cli.options import Format, ResultFormat
from vtrace_ovs.diagnosis.exchange import exchange
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.rendering.counts import counts_document, counts_lines
from vtrace_ovs.rendering.document import exchange_document, result_document, task_document
from vtrace_ovs.rendering.dot import results_dot
from vtrace_ovs.rendering.screen import exchange_lines, result_lines


def report(
    task: Task, found: TaskResult | None, output: ResultFormat, verbose: int, *, finished: bool = True
) -> ExitCode:
    """Print one task's result, or why there is none; who interrupted the task (not ``finished``) knows."""
    match output:
        case ResultFormat.JSON:
            emit_text(task_document(task) if found is None else result_document(found, task))
        case ResultFormat.DOT:
            emit_text(results_dot(() if found is None else (found,)))
        case ResultFormat.TREE:
            emit(() if found is None else result_lines(found, verbose))
        case _:
            assert_never(output)
    if found is not None:
        return code_of_verdict(found.verdict)
    return _without_result(task, f"task {task.id}") if finished else ExitCode.INTERRUPTED


def report_exchange(
    tasks: tuple[Task, Task],
    results: tuple[TaskResult | None, TaskResult | None],
    output: ResultFormat,
    verbose: int,
    *,
    finished: bool = True,
) -> ExitCode:
    """Print both directions and the verdict on the two; without a result for the request, what ``report`` prints."""
    (there, back), (request, reply) = tasks, results
    if request is None:
        return report(there, None, output, verbose, finished=finished)
    both = exchange(request, reply)
    match output:
        case ResultFormat.JSON:
            emit_text(exchange_document(both, tasks))
        case ResultFormat.DOT:
            emit_text(results_dot((request,) if reply is None else (request, reply)))
        case ResultFormat.TREE:
            emit(exchange_lines(both, verbose))
        case _:
            assert_never(output)
    if reply is not None:
        return code_of_verdict(both.verdict)
    return _without_result(back, f"task {back.id}, for the replies,") if finished else ExitCode.INTERRUPTED


def report_counts(
    task: Task, found: CountReport | None, output: Format, verbose: int, *, finished: bool = True
) -> ExitCode:
    """Print what a task has counted, or why there is nothing."""
    if found is None:
        if output is Format.JSON:
            emit_text(task_document(task))
        return _without_result(task, f"task {task.id}") if finished else ExitCode.INTERRUPTED
    if output is Format.JSON:
        emit_text(counts_document(found, task))
    else:
        emit(counts_lines(found, verbose))
    return code_of_verdict(found.verdict)


def _without_result(task: Task, what: str) -> ExitCode:
    why = task.reason or ("it ended without one" if task.state.final else "is vtrace controller running?")
    talk(f"vtrace: {what} is {task.state.value} and has no result: {why}")
    return code_without_result(task.state)
