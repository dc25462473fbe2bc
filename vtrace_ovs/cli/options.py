"""Turns the options several commands share into one definition each."""

from enum import Enum
from typing import Annotated

import typer

from vtrace_ovs.model.task import PACKET_COUNT_RANGE, TRACE_TIME_RANGE


class Format(Enum):
    """What ``-o`` takes."""

    TREE = "tree"
    JSON = "json"


class ResultFormat(Enum):
    """What ``-o`` takes where a result is printed."""

    TREE = "tree"
    JSON = "json"
    DOT = "dot"


FilterArgument = Annotated[
    str, typer.Argument(metavar="FILTER", help="OVS flow syntax, e.g. tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443")
]
TaskArgument = Annotated[
    str | None, typer.Argument(metavar="[TASK|FILTER]", help="Task number, or a filter for its newest task. [newest]")
]
FormatOption = Annotated[Format, typer.Option("-o", "--output", help="How to print.")]
ResultFormatOption = Annotated[
    ResultFormat, typer.Option("-o", "--output", help="How to print: dot is a graph of the paths for Graphviz.")
]
PacketCountOption = Annotated[
    int,
    typer.Option("-n", "--packet-count", help=f"Packets to trace, {PACKET_COUNT_RANGE[0]}-{PACKET_COUNT_RANGE[-1]}."),
]
TraceTimeOption = Annotated[
    int,
    typer.Option("-t", "--trace-time", help=f"Seconds to look for them, {TRACE_TIME_RANGE[0]}-{TRACE_TIME_RANGE[-1]}."),
]
VniOption = Annotated[int | None, typer.Option("--vni", help="Only this VNI, where tenants use the same addresses.")]
SourceOption = Annotated[str | None, typer.Option("--from", metavar="VM", help="Only what this VM sends.")]
DestinationOption = Annotated[str | None, typer.Option("--to", metavar="VM", help="Only what is for this VM.")]
WideOption = Annotated[
    bool, typer.Option("--wide", help="Look at every edge port, even where other traffic's megaflows multiply.")
]
BothOption = Annotated[bool, typer.Option("--both", help="Trace the replies too, as a task of their own.")]
VerboseOption = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Every flow; twice: near misses and predictions too.")
]
OvsdbOption = Annotated[
    str | None,
    typer.Option(
        "--ovsdb", metavar="LIST", help="OVSDB servers, e.g. unix:PATH,tcp:HOST:PORT. [VTRACE_OVSDB, a lab, or local]"
    ),
]
ListenOption = Annotated[
    str | None,
    typer.Option("--listen", metavar="ADDRESS", help="What remote bridges dial, tcp:IP:PORT. [VTRACE_LISTEN]"),
]
SouthboundOption = Annotated[
    str | None,
    typer.Option(
        "--ovn-sb", metavar="LIST", help="OVN's southbound database, to name logical flows and ACLs. [VTRACE_OVN_SB]"
    ),
]
NoUnderlayOption = Annotated[
    bool, typer.Option("--no-underlay", help="Ask no underlay bridge who drops what is lost. [VTRACE_NO_UNDERLAY]")
]
FrameworkOption = Annotated[
    str | None, typer.Option("--framework", metavar="NAME", help="ryu or os-ken. [ryu where it is installed]")
]
