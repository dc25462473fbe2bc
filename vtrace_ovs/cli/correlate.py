"""Turns ``vtrace correlate`` into what tasks that lost packets have in common, from the task database."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vtrace_ovs.cli.api import find_task, open_store
from vtrace_ovs.cli.console import emit, emit_text
from vtrace_ovs.cli.options import Format, FormatOption
from vtrace_ovs.diagnosis.correlation import correlate
from vtrace_ovs.model.correlation import TracedTask
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.verdict import TaskResult
from vtrace_ovs.rendering.correlation import correlation_document, correlation_lines

if TYPE_CHECKING:
    from vtrace_ovs.storage.store import Store

DEFAULT_HOURS = 24.0
_HOUR = 3600.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("correlate")(correlation)


def correlation(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[TASK]...", help="Task numbers. [all of the last hours]")
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.0, help="How far back to look, where no task is named.")
    ] = DEFAULT_HOURS,
    output: FormatOption = Format.TREE,
) -> None:
    """Say what tasks that lost packets have in common, and healthy ones have not."""
    with open_store() as store:
        if numbers:
            tasks = tuple(find_task(store, str(number)) for number in dict.fromkeys(numbers))
        else:
            tasks = tuple(task for task in store.tasks() if task.created_at >= time.time() - hours * _HOUR)
        found = correlate(_traced(store, tasks))
    if output is Format.JSON:
        emit_text(correlation_document(found))
    else:
        emit(correlation_lines(found))


def _traced(store: "Store", tasks: Sequence[Task]) -> Iterator[TracedTask]:
    """The tasks that have a result, each with its tenant."""
    topology = Topology(bridges=store.vfds())
    places = Places(topology)
    for task in tasks:
        result = store.result(task.id)
        if result is not None:
            yield TracedTask(result, _tenant(task, result, places))


def _tenant(task: Task, result: TaskResult, places: Places) -> str | None:
    """That of the port the packets came in by; of packets nobody saw, that of the VM they were to come from."""
    for group in result.groups:
        first = group.example.hops[0] if group.example.hops else None
        if first is not None:
            return places.tenant_of(first.bridge, first.in_port, first.arrived_by)
    vm = places.topology.vm(task.request.scope.source_vm or "")
    return None if vm is None else vm.port.tenant
