"""Turns ``vtrace run``, ``controller`` and ``clean`` into a controller in this process, or into clean bridges."""

from typing import Annotated

import typer

from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.inventory import ovsdb_of
from vtrace_ovs.cli.options import (
    BothOption,
    DestinationOption,
    FilterArgument,
    FrameworkOption,
    ListenOption,
    NoUnderlayOption,
    OvsdbOption,
    PacketCountOption,
    ResultFormat,
    ResultFormatOption,
    SourceOption,
    SouthboundOption,
    TraceTimeOption,
    VerboseOption,
    VniOption,
    WideOption,
)
from vtrace_ovs.cli.reporting import report, report_exchange
from vtrace_ovs.cli.settings import Settings, read_settings, with_listen, with_southbound, without_underlay
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.task import DEFAULT_PACKET_COUNT, DEFAULT_TRACE_TIME, TraceRequest
from vtrace_ovs.rendering.plans import BridgePlan, plan_lines


def register(app: typer.Typer) -> None:
    """Add the tracing commands."""
    app.command("run")(run)
    app.command("controller")(controller)
    app.command("clean")(clean)


def run(  # noqa: PLR0913, PLR0917 - one parameter per option
    filter_text: FilterArgument,
    packet_count: PacketCountOption = DEFAULT_PACKET_COUNT,
    trace_time: TraceTimeOption = DEFAULT_TRACE_TIME,
    vni: VniOption = None,
    source_vm: SourceOption = None,
    destination_vm: DestinationOption = None,
    wide: WideOption = False,
    both: BothOption = False,
    ovsdb: OvsdbOption = None,
    listen: ListenOption = None,
    ovn_sb: SouthboundOption = None,
    no_underlay: NoUnderlayOption = False,
    output: ResultFormatOption = ResultFormat.TREE,
    verbose: VerboseOption = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every flow and meter, install none.")] = False,
    framework: FrameworkOption = None,
) -> None:
    """Trace once: attach, trace, explain, clean up."""
    request = trace_request(
        filter_text,
        packet_count=packet_count,
        trace_time=trace_time,
        vni=vni,
        source_vm=source_vm,
        destination_vm=destination_vm,
        wide=wide,
    )
    settings = without_underlay(with_southbound(with_listen(read_settings(), listen), ovn_sb), option=no_underlay)
    connections = ovsdb_of(settings, ovsdb)
    if dry_run:
        raise typer.Exit(_dry_run(request, settings, connections, both=both))
    outcome = trace(request, settings, connections, both=both, output=output, verbose=verbose, framework=framework)
    raise typer.Exit(outcome)


def trace(  # noqa: PLR0913 - what the command line leaves open
    request: TraceRequest,
    settings: Settings,
    connections: tuple[str, ...],
    *,
    both: bool,
    output: ResultFormat,
    verbose: int,
    framework: str | None,
) -> ExitCode:
    """One task, or one and another for its replies, in a controller of its own; prints what they found out."""
    from vtrace_ovs.cli.running import run_exchange, run_task  # noqa: PLC0415 - Ryu and SQLAlchemy are slow to import

    if both:
        tasks, results, finished = run_exchange(request, settings, connections, framework)
        code = report_exchange(tasks, results, output, verbose, finished=finished)
    else:
        task, result, finished = run_task(request, settings, connections, framework)
        code = report(task, result, output, verbose, finished=finished)
    return code if finished else ExitCode.INTERRUPTED


def controller(
    ovsdb: OvsdbOption = None,
    listen: ListenOption = None,
    ovn_sb: SouthboundOption = None,
    no_underlay: NoUnderlayOption = False,
    app_modules: Annotated[
        list[str] | None, typer.Option("--app", metavar="MODULE", help="Another Ryu app to load beside ours.")
    ] = None,
    framework: FrameworkOption = None,
) -> None:
    """Run the Ryu app: takes tasks from the database until it is stopped."""
    from vtrace_ovs.cli.running import run_controller  # noqa: PLC0415 - Ryu and SQLAlchemy are slow to import

    settings = without_underlay(with_southbound(with_listen(read_settings(), listen), ovn_sb), option=no_underlay)
    run_controller(settings, ovsdb_of(settings, ovsdb), tuple(app_modules or ()), framework)


def clean(ovsdb: OvsdbOption = None, listen: ListenOption = None) -> None:
    """Remove everything of ours from every bridge, and prove that nothing is left."""
    from vtrace_ovs.cli.running import clean_bridges  # noqa: PLC0415 - SQLAlchemy is slow to import

    settings = with_listen(read_settings(), listen)
    outcomes = clean_bridges(settings, ovsdb_of(settings, ovsdb))
    for outcome in outcomes:
        if outcome.problem is not None:
            talk(f"vtrace: {outcome.problem}")
        else:
            emit_text(f"{outcome.bridge}: removed {outcome.flows} flows and {outcome.meters} meters, none left\n")
    raise typer.Exit(ExitCode.INFRASTRUCTURE if any(outcome.problem for outcome in outcomes) else ExitCode.DELIVERED)


def _dry_run(request: TraceRequest, settings: Settings, connections: tuple[str, ...], *, both: bool) -> ExitCode:
    from vtrace_ovs.cli.running import plans  # noqa: PLC0415 - python-ovs is slow to import

    planned, vfds, remarks = plans(request, settings, connections, both=both)
    emit(plan_lines([BridgePlan(p.bridge, p.meters, (*p.sinks, *p.sources)) for p in planned], vfds))
    for remark in remarks:
        talk(f"vtrace: {remark}")
    return ExitCode.DELIVERED
