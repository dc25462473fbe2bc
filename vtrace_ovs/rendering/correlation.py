"""Turns what losing tasks have in common into its screen and its JSON document."""

import json
from collections.abc import Iterator, Sequence

from vtrace_ovs.model.correlation import Correlation, LosingTask, Suspect
from vtrace_ovs.rendering.lines import Line, Span, Style, line
from vtrace_ovs.rendering.screen import verdict_line

SCHEMA = 1


def correlation_lines(found: Correlation) -> Iterator[Line]:
    """The likeliest common cause first, then every task that lost packets."""
    losing, healthy, undecided = len(found.losing), len(found.healthy), len(found.undecided)
    whole = losing + healthy + undecided
    told = f"{_tasks(whole)}: {losing} lost packets, {healthy} did not, {undecided} cannot be told"
    yield line(Span(told, Style.STRONG))
    if not found.losing:
        return
    yield Line()
    if not found.suspects:
        yield line("These losses have nothing in common that is known.")
    for suspect in found.suspects:
        yield _suspect(suspect, losing)
    yield Line()
    yield line(Span("Tasks that lost packets", Style.STRONG))
    for task in found.losing:
        yield _task(task, alone=task.task_id in found.alone)


def _suspect(suspect: Suspect, losing: int) -> Line:
    blamed = bool(suspect.blamed_by)
    tasks = suspect.blamed_by or suspect.losing
    mark = Span("✗", Style.BAD) if blamed else Span("?", Style.UNSURE)
    part = f"{len(tasks)} of {losing} tasks that lost packets ({_numbers(tasks)})"
    tenants = f", of {_tenants(suspect.tenants)}" if suspect.tenants else ""
    others = "no healthy task" if not suspect.healthy else f"healthy {_named('task', suspect.healthy)}"
    how = (
        f"blamed by {part}{tenants}"
        if blamed
        else f"on the way of {part}{tenants}, whose verdicts blame different places"
    )
    return line(mark, " ", Span(f"{suspect.kind.value} {suspect.name}", Style.STRONG), f": {how}; {others} passed it")


def _task(task: LosingTask, *, alone: bool) -> Line:
    tenant = "" if task.tenant is None else f" ({task.tenant})"
    apart = (Span(", alone", Style.FAINT),) if alone else ()
    return line(f"  task {task.task_id}{tenant}: ", *verdict_line(task.verdict).spans, *apart)


def _tasks(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'}"


def _tenants(names: Sequence[str]) -> str:
    return f"tenant{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _named(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'' if len(numbers) == 1 else 's'} {_numbers(numbers)}"


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def correlation_document(found: Correlation) -> str:
    """The same as JSON text (``docs/json.md``)."""
    document = {
        "schema": SCHEMA,
        "suspects": [
            {
                "kind": one.kind.value,
                "name": one.name,
                "blamed_by": one.blamed_by,
                "losing": one.losing,
                "healthy": one.healthy,
                "tenants": one.tenants,
            }
            for one in found.suspects
        ],
        "losing": [
            {
                "task": one.task_id,
                "tenant": one.tenant,
                "disposition": one.verdict.disposition.value,
                "code": one.verdict.code.value,
                "operator_sentence": one.verdict.operator_sentence,
            }
            for one in found.losing
        ],
        "healthy": found.healthy,
        "undecided": found.undecided,
        "alone": found.alone,
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
