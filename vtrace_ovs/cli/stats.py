"""Turns ``vtrace stats`` into a controller in this process that counts traffic for as long as asked."""

from typing import Annotated

import typer

from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.inventory import ovsdb_of
from vtrace_ovs.cli.options import (
    DestinationOption,
    FilterArgument,
    Format,
    FormatOption,
    FrameworkOption,
    ListenOption,
    OvsdbOption,
    SourceOption,
    VniOption,
    WideOption,
)
from vtrace_ovs.cli.reporting import report_counts
from vtrace_ovs.cli.settings import read_settings, with_listen
from vtrace_ovs.filters import counting_request
from vtrace_ovs.model.counting import COUNTING_TIME_RANGE, DEFAULT_COUNTING_TIME, DEFAULT_INTERVAL, INTERVAL_RANGE


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(stats)


def stats(  # noqa: PLR0913, PLR0917 - one parameter per option
    filter_text: FilterArgument,
    counting_time: Annotated[
        int,
        typer.Option(
            "-t", "--trace-time", help=f"Seconds to count for, {COUNTING_TIME_RANGE[0]}-{COUNTING_TIME_RANGE[-1]}."
        ),
    ] = DEFAULT_COUNTING_TIME,
    interval: Annotated[
        int, typer.Option("--interval", help=f"Seconds each, {INTERVAL_RANGE[0]}-{INTERVAL_RANGE[-1]}.")
    ] = DEFAULT_INTERVAL,
    vni: VniOption = None,
    source_vm: SourceOption = None,
    destination_vm: DestinationOption = None,
    wide: WideOption = False,
    ovsdb: OvsdbOption = None,
    listen: ListenOption = None,
    output: FormatOption = Format.TREE,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="Every interval, and what verdicts rest on.")
    ] = 0,
    framework: FrameworkOption = None,
) -> None:
    """Count traffic in and out of every VFD, copy none: what was lost where, and when."""
    from vtrace_ovs.cli.running import run_counting  # noqa: PLC0415 - Ryu and SQLAlchemy are slow to import

    request = counting_request(
        filter_text,
        counting_time=counting_time,
        interval=interval,
        vni=vni,
        source_vm=source_vm,
        destination_vm=destination_vm,
        wide=wide,
    )
    settings = with_listen(read_settings(), listen)
    task, found, finished = run_counting(request, settings, ovsdb_of(settings, ovsdb), framework)
    code = report_counts(task, found, output, verbose, finished=finished)
    raise typer.Exit(code if finished else ExitCode.INTERRUPTED)
