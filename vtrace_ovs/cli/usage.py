"""Turns ``vtrace usage`` into how the tool was used, from the task database."""

from pathlib import Path
from typing import Annotated

import typer

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.cli.console import emit, emit_text
from vtrace_ovs.cli.files import write_file
from vtrace_ovs.cli.options import Format, FormatOption
from vtrace_ovs.model.usage import usage_of
from vtrace_ovs.rendering.usage import usage_document, usage_lines
from vtrace_ovs.rendering.usage_chart import usage_chart


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("usage")(usage)


def usage(
    output: FormatOption = Format.TREE,
    chart: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the same into this file.")] = None,
) -> None:
    """Count all tasks: packets and seconds asked for, tasks and losses per week, what caused the losses."""
    with open_store() as store:
        counted = usage_of(store.outcomes())
    if chart is not None:
        write_file(chart, usage_chart(counted))
    if output is Format.JSON:
        emit_text(usage_document(counted))
    else:
        emit(usage_lines(counted))
