"""Turns what the database keeps of a task, and of the one for its replies, into an HTML report."""

from pathlib import Path
from typing import TYPE_CHECKING

from vtrace_ovs.cli.console import talk
from vtrace_ovs.cli.files import write_file
from vtrace_ovs.diagnosis.exchange import exchange
from vtrace_ovs.diagnosis.grouping import packets_of
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.rendering.report import Report, report_page

if TYPE_CHECKING:
    from vtrace_ovs.model.task import Task
    from vtrace_ovs.storage.store import Store


def write_report(store: "Store", tasks: tuple["Task", ...], path: Path) -> None:
    """One page about these tasks. Raises UsageError when the file cannot be written."""
    reports = tuple(_report(store, task) for task in tasks)
    write_file(path, report_page(reports, _on_both(reports)))
    talk(f"report written to {path}")


def _report(store: "Store", task: "Task") -> Report:
    result = store.result(task.id)
    return Report(task, result, packets_of(store.trajectories(task.id), result), store.samples(task.id))


def _on_both(reports: tuple[Report, ...]) -> Verdict | None:
    """The verdict on both directions, where there are two and the request has a result."""
    if len(reports) == 1 or reports[0].result is None:
        return None
    return exchange(reports[0].result, reports[1].result).verdict
