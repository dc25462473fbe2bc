"""Turns ``vtrace lab …`` into calls to the lab's keeper, and its answers into lines or JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from vtrace_ovs.cli.console import emit, emit_text, talk
from vtrace_ovs.cli.options import Format, FormatOption
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.overlay import NatKind, NatRule
from vtrace_ovs.rendering.lines import Line, Span, Style, line

if TYPE_CHECKING:
    from vtrace_ovs.lab.client import LabClient
    from vtrace_ovs.lab.faults.fault import Fault
    from vtrace_ovs.lab.state import LabState, NatState, ServerState

SCHEMA = 1
DEFAULT_TOPOLOGY = "vpc"

lab = typer.Typer(
    name="lab",
    help="An overlay to try things on, with faults. Needs root and Mininet.",
    rich_markup_mode=None,
)
NameOption = Annotated[str | None, typer.Option("--lab", metavar="NAME", help="Which lab, when several are up.")]
VmArgument = Annotated[str, typer.Argument(metavar="VM")]


def register(app: typer.Typer) -> None:
    """Add ``vtrace lab``."""
    app.add_typer(lab)


def lab_client(name: str | None = None) -> "LabClient":
    """The lab of this name; None means the only one that is up, or the default one.

    Raises UsageError when several are up and none is named.
    """
    from vtrace_ovs.lab.client import LabClient, lab_directory, labs  # noqa: PLC0415 - keeps --help quick

    place = read_settings().rundir / "lab"
    if name is None:
        names = labs(place)
        if len(names) > 1:
            raise UsageError(f"several labs are up: say which with --lab: {', '.join(names)}")
        name = names[0] if names else DEFAULT_TOPOLOGY
    if "/" in name or name in {"", ".", ".."}:
        raise UsageError(f"{name!r} is not the name of a lab: vtrace lab up makes one named after its topology")
    return LabClient(lab_directory(name, place))


@lab.command()
def up(
    topology: Annotated[
        str, typer.Argument(metavar="TOPOLOGY", help="A topology that ships with the tool, or a .toml file.")
    ] = DEFAULT_TOPOLOGY,
    output: FormatOption = Format.TREE,
) -> None:
    """Build a lab; it stays up until vtrace lab down."""
    client = lab_client(Path(topology).stem)
    talk(f"building {topology}; vtrace lab down removes it")
    _show(client.up(topology), output)


@lab.command()
def down(name: NameOption = None) -> None:
    """Take the lab down, or sweep up what a crashed one left."""
    client = lab_client(name)
    client.down()
    talk(f"{client.directory.name} is down")


@lab.command()
def status(name: NameOption = None, output: FormatOption = Format.TREE) -> None:
    """Show servers, VMs, NAT and the faults in force."""
    _show(lab_client(name).status(), output)


@lab.command()
def traffic(  # noqa: PLR0913, PLR0917 - one parameter per option
    source: VmArgument,
    destination: VmArgument,
    protocol: Annotated[str, typer.Option("-p", "--protocol", help="icmp, tcp, tcp-stream, udp or sctp.")] = "icmp",
    port: Annotated[int | None, typer.Option("--port", help="Destination port, except for ICMP.")] = None,
    count: Annotated[int, typer.Option("-n", "--count", help="Probes to send.")] = 10,
    rate: Annotated[float, typer.Option("--rate", help="Probes per second.")] = 20.0,
    dscp: Annotated[int, typer.Option("--dscp", help="DSCP of the probes, 0-63.")] = 0,
    size: Annotated[int | None, typer.Option("--size", help="Bytes of payload of a probe.")] = None,
    listen: Annotated[bool, typer.Option("--listen/--closed", help="Whether the port is open.")] = True,
    address: Annotated[
        str | None, typer.Option("--address", help="Send to this address, which NAT turns into the destination's.")
    ] = None,
    ipv6: Annotated[bool, typer.Option("-6", "--ipv6", help="Between the IPv6 addresses.")] = False,
    name: NameOption = None,
) -> None:
    """Send real traffic between two VMs and count what arrives."""
    report = lab_client(name).traffic(
        *(source, destination, protocol),
        port=port,
        rate=rate,
        count=count,
        dscp=dscp,
        size=size,
        listen=listen,
        ipv6=ipv6,
        address=address,
    )
    received = "" if report.received is None else f", {report.received} packets received"
    marks = ", ".join(str(mark) for mark in report.dscps)
    emit([line(f"{report.sent} sent, {report.replies} answered{received}{f' with DSCP {marks}' if marks else ''}")])


@lab.command()
def fault(  # noqa: PLR0913, PLR0917 - one parameter per option
    fault_name: Annotated[str, typer.Argument(metavar="FAULT", help="One that vtrace lab faults lists.")],
    vm: Annotated[
        str | None, typer.Option("--vm", help="The destination; for a fault of the sender, that one.")
    ] = None,
    protocol: Annotated[str | None, typer.Option("-p", "--protocol", help="What a security rule is about.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Destination port a security rule is about.")] = None,
    prefix: Annotated[str | None, typer.Option("--prefix", help="Prefix of a route.")] = None,
    rate: Annotated[int | None, typer.Option("--rate", help="Packets per second of a rate limit.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="Server that fails, or is cut off.")] = None,
    link: Annotated[str | None, typer.Option("--link", help="Underlay link that fails.")] = None,
    switch: Annotated[str | None, typer.Option("--switch", help="Underlay switch that fails.")] = None,
    percent: Annotated[int | None, typer.Option("--percent", help="How much a lossy link loses.")] = None,
    name: NameOption = None,
) -> None:
    """Break something by name; what is not said is chosen."""
    made = lab_client(name).fault(
        fault_name,
        vm=vm,
        protocol=protocol,
        port=port,
        prefix=prefix,
        rate=rate,
        server=server,
        link=link,
        switch=switch,
        percent=percent,
    )
    emit([line(fault_text(made))])


@lab.command()
def faults() -> None:
    """List the faults there are, and what each of them is."""
    from vtrace_ovs.lab.faults.catalogue import FAMILIES  # noqa: PLC0415 - keeps --help quick

    for family, kinds in FAMILIES.items():
        emit([line(Span(family, Style.STRONG))])
        emit(line(f"  {name.value}: {kind.sentence}") for name, kind in kinds.items())


@lab.command()
def heal(
    fault_name: Annotated[str | None, typer.Argument(metavar="[FAULT]", help="Only this one. [all]")] = None,
    name: NameOption = None,
) -> None:
    """Undo one fault, or all of them."""
    left = lab_client(name).heal(fault_name).faults
    talk(f"still in force: {', '.join(map(fault_text, left))}" if left else "no fault in force")


def fault_text(made: "Fault") -> str:
    """A fault and where it strikes, e.g. ``security-deny vm=web-1 protocol=tcp port=443``."""
    from vtrace_ovs.lab.faults.catalogue import CATALOGUE  # noqa: PLC0415 - keeps --help quick

    places = CATALOGUE[made.name].places
    said = [f"{place}={getattr(made, place)}" for place in places if getattr(made, place) is not None]
    return " ".join([made.name.value, *said])


def _show(state: "LabState", output: Format) -> None:
    if output is Format.JSON:
        emit_text(state_document(state))
    else:
        emit(state_lines(state))


def state_lines(state: "LabState") -> Iterator[Line]:
    """The lab: its servers, the VMs on each, NAT, the faults in force, and how to trace on it."""
    yield line("lab ", Span(state.name, Style.STRONG))
    for server in state.servers:
        yield line("  ", Span(server.name, Style.STRONG), f"  VTEP {server.vtep}" if server.vtep else "")
        for vm in state.vms:
            if vm.server == server.name:
                six = f"  {vm.address6}" if vm.address6 else ""
                yield line(f"    {vm.name}  {vm.address}{six}  tenant {vm.tenant}")
    for one in state.nat:
        yield line(f"  tenant {one.tenant}: {nat_text(one.rule)}")
    if state.switches:
        yield line("  underlay: ", ", ".join(switch.name for switch in state.switches))
    if not state.faults:
        yield line("  faults: none")
    for made in state.faults:
        yield line("  fault: ", Span(fault_text(made), Style.BAD))
    yield line("  VTRACE_OVSDB=", ",".join(state.ovsdb_remotes))
    if state.switches:
        whole = ",".join((*state.ovsdb_remotes, *state.underlay_remotes))
        yield line(Span("  with the underlay, for post-cards of what it drops:", Style.FAINT))
        yield line("  VTRACE_OVSDB=", whole)


def nat_text(rule: NatRule) -> str:
    """Which address becomes which, as in ``dnat 203.0.113.99, tcp port 443, to 10.1.2.21 or 10.1.2.23``."""
    inside = " or ".join(str(one.network_address if one.num_addresses == 1 else one) for one in rule.inside)
    service = f", {rule.protocol} port {rule.port}," if rule.port is not None else ""
    toward = f" toward {rule.toward}" if rule.toward else ""
    match rule.kind:
        case NatKind.SNAT:
            return f"{rule.kind.value} {inside}{service} to {rule.outside}{toward}"
        case NatKind.DNAT | NatKind.STATELESS:
            return f"{rule.kind.value} {rule.outside}{service} to {inside}{toward}"
        case other:
            assert_never(other)


def state_document(state: "LabState") -> str:
    """The lab as JSON text."""

    def place(server: "ServerState") -> dict[str, object]:
        return {
            "name": server.name,
            "pid": server.pid,
            "ovsdb": server.ovsdb,
            "vtep": str(server.vtep) if server.vtep else None,
        }

    vms = [
        {
            "name": vm.name,
            "tenant": vm.tenant,
            "server": vm.server,
            "address": str(vm.address),
            "address6": str(vm.address6) if vm.address6 else None,
            "pid": vm.pid,
        }
        for vm in state.vms
    ]
    document = {
        "schema": SCHEMA,
        "lab": state.name,
        "servers": [place(server) for server in state.servers],
        "switches": [place(switch) for switch in state.switches],
        "vms": vms,
        "nat": [nat_document(one) for one in state.nat],
        "faults": [fault_text(made) for made in state.faults],
    }
    return json.dumps(document, indent=2) + "\n"


def nat_document(nat: "NatState") -> dict[str, object]:
    """One translation, for JSON."""
    rule = nat.rule
    return {
        "tenant": nat.tenant,
        "kind": rule.kind.value,
        "outside": str(rule.outside),
        "inside": [str(prefix) for prefix in rule.inside],
        "protocol": rule.protocol,
        "port": rule.port,
        "toward": str(rule.toward) if rule.toward else None,
    }
