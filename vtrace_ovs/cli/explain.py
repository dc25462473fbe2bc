"""Turns ``vtrace explain`` into a walk through flow tables: no packet is sent, nothing is changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, assert_never

import typer

from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.exit_codes import ExitCode, code_of_verdict
from vtrace_ovs.cli.options import (
    ListenOption,
    OvsdbOption,
    ResultFormat,
    ResultFormatOption,
    SouthboundOption,
    VerboseOption,
)
from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.notation import CT_STATE_BITS

if TYPE_CHECKING:
    from vtrace_ovs.cli.explaining import Request

_CT_SEPARATORS = str.maketrans("+|", ",,")
_TRACKED = "trk"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(  # noqa: PLR0913, PLR0917 - one parameter per option
    packet: Annotated[
        str | None,
        typer.Argument(
            metavar="[PACKET]",
            help="A filter that names one packet, with more header fields where needed: "
            "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443,dl_dst=0a:01:0a:00:01:01,nw_ttl=3",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SERVER/BRIDGE:PORT", help="Where it comes in; PORT by name or number."),
    ] = None,
    source_vm: Annotated[
        str | None, typer.Option("--from", metavar="VM", help="The VM that sends it, instead of --at.")
    ] = None,
    task: Annotated[
        int | None, typer.Option("--task", metavar="N", help="Walk the tables this task was judged by, not live ones.")
    ] = None,
    record: Annotated[
        int | None, typer.Option("--record", metavar="K", help="The packet of this record (its sequence) of the task.")
    ] = None,
    dump: Annotated[
        list[Path] | None,
        typer.Option(
            "--dump", metavar="FILE", help="Walk ovs-ofctl output of one bridge: dump-flows, dump-groups, show."
        ),
    ] = None,
    in_port: Annotated[
        str | None, typer.Option("--in-port", metavar="PORT", help="With --dump: where it comes in.")
    ] = None,
    hex_text: Annotated[str | None, typer.Option("--hex", help="The frame, in hexadecimal.")] = None,
    pcap: Annotated[
        Path | None, typer.Option("--pcap", metavar="FILE", help="The frame is in this pcap or pcapng file.")
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", metavar="N", help="Which one, from 1. [the first that PACKET accepts]")
    ] = None,
    ct: Annotated[
        str | None, typer.Option("--ct", metavar="STATES", help="What connection tracking says, e.g. trk,new.")
    ] = None,
    length: Annotated[int | None, typer.Option("--length", min=14, help="Length of the frame in bytes. [98]")] = None,
    against_ovs: Annotated[
        bool,
        typer.Option("--against-ovs", help="Ask Open vSwitch itself too (ofproto/trace), and show where they part."),
    ] = False,
    ovsdb: OvsdbOption = None,
    listen: ListenOption = None,
    ovn_sb: SouthboundOption = None,
    output: ResultFormatOption = ResultFormat.TREE,
    verbose: VerboseOption = 0,
) -> None:
    """Walk one packet through the flow tables: which flows it meets, and where it ends. Sends nothing."""
    from vtrace_ovs.cli.explaining import Request  # noqa: PLC0415 - SQLAlchemy and python-ovs are slow to import

    request = Request(
        packet=packet,
        at=at,
        source_vm=source_vm,
        task_id=task,
        record=record,
        dumps=tuple(dump or ()),
        in_port=in_port,
        hex_text=hex_text,
        pcap=pcap,
        frame=frame,
        ct_state=None if ct is None else connection_state(ct),
        length=length,
        against_ovs=against_ovs,
    )
    raise typer.Exit(_explain(request, Places(ovsdb, ovn_sb, listen), output, verbose))


class Places(NamedTuple):
    """Where to look, as the options of that name say."""

    ovsdb: str | None
    ovn_sb: str | None
    listen: str | None


def _explain(request: "Request", places: Places, output: ResultFormat, verbose: int) -> ExitCode:
    from vtrace_ovs.cli.explaining import explained  # noqa: PLC0415 - as above
    from vtrace_ovs.rendering.document import result_document  # noqa: PLC0415 - as above
    from vtrace_ovs.rendering.dot import results_dot  # noqa: PLC0415 - as above
    from vtrace_ovs.rendering.explanation import explanation_lines  # noqa: PLC0415 - as above

    explanation = explained(request, *places)
    result = explanation.result
    for problem in explanation.problems:
        talk(f"vtrace: {problem}")
    match output:
        case ResultFormat.JSON:
            emit_text(result_document(result, explanation.task, explanation.agreements, explanation.examined))
        case ResultFormat.DOT:
            emit_text(results_dot((result,)))
        case ResultFormat.TREE:
            emit(explanation_lines(result, explanation.agreements, verbose, explanation.examined))
        case _:
            assert_never(output)
    if any(False in (one.agrees, one.follows) for one in explanation.agreements):
        return ExitCode.NOT_KNOWN
    return code_of_verdict(result.verdict)


def connection_state(text: str) -> int:
    """``trk,new``, ``+trk+new`` or ``trk|new`` as ``ct_state`` bits; tracked is implied. Raises UsageError."""
    state = 0
    for name in (text.translate(_CT_SEPARATORS) + f",{_TRACKED}").split(","):
        if name.strip() and name.strip() not in CT_STATE_BITS:
            raise UsageError(f"--ct: {name.strip()!r} is no connection state: choose from {', '.join(CT_STATE_BITS)}")
        if name.strip():
            state |= 1 << CT_STATE_BITS.index(name.strip())
    return state
