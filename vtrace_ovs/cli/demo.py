"""Turns a bare machine into four verdicts on real traffic: a lab, a healthy trace, three faults, and nothing left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from vtrace_ovs.cli.console import emit, talk
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.options import FrameworkOption
from vtrace_ovs.cli.settings import Settings, read_settings
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult
from vtrace_ovs.rendering.lines import Span, Style, line
from vtrace_ovs.rendering.screen import result_lines

if TYPE_CHECKING:
    from vtrace_ovs.lab.client import LabClient

PACKETS = 5
TRACE_TIME = 12
TRAFFIC_RATE = 25.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One act: what is broken, what is sent, and what must be found out. ``port`` None is ICMP."""

    title: str
    fault: str | None
    protocol: str
    port: int | None
    disposition: Disposition
    code: CauseCode

    @property
    def filter_text(self) -> str:
        """What the operator would type."""
        port = "" if self.port is None else f",tp_dst={self.port}"
        return f"{self.protocol},nw_src=10.0.1.11,nw_dst=10.0.2.22{port}"


SCENARIOS = (
    Scenario("Nothing is broken", None, "tcp", 443, Disposition.DELIVERED, CauseCode.NONE),
    Scenario(
        "A security group denies TCP 443",
        "security-deny",
        "tcp",
        443,
        Disposition.DROPPED,
        CauseCode.SECURITY_RULE_DENY,
    ),
    Scenario("The vRouter lost a route", "no-route", "udp", 5000, Disposition.DROPPED, CauseCode.NO_ROUTE),
    Scenario(
        "A link of the underlay is down",
        "underlay-link-down",
        "icmp",
        None,
        Disposition.LOST_ON_WIRE,
        CauseCode.UNDERLAY_LOSS,
    ),
)
SOURCE, DESTINATION = "blue-web1", "blue-db2"


def register(app: typer.Typer) -> None:
    """Add the demo."""
    app.command("demo")(demo)


def demo(framework: FrameworkOption = None) -> None:
    """Bring a lab up, trace a healthy connection and three faults, take the lab down."""
    given = read_settings()
    settings = replace(given, rundir=given.rundir / "demo", database=str(given.rundir / "demo" / "vtrace.db"))
    wrong = 0
    with _lab(settings) as client:
        connections = client.status().ovsdb_remotes
        for number, scenario in enumerate(SCENARIOS, 1):
            emit(
                [line(), line(Span(f"── {number}. {scenario.title}: vtrace run {scenario.filter_text}", Style.STRONG))]
            )
            wrong += not _play(scenario, client, settings, connections, framework)
    talk("The lab is down." if not wrong else f"{wrong} of {len(SCENARIOS)} verdicts were wrong.")
    raise typer.Exit(ExitCode.LOSS if wrong else ExitCode.DELIVERED)


@contextmanager
def _lab(settings: Settings) -> Iterator["LabClient"]:
    from vtrace_ovs.lab.client import LabClient, lab_directory  # noqa: PLC0415 - Mininet is slow to import

    client = LabClient(lab_directory(run_directory=settings.rundir / "lab"))
    began = time.monotonic()
    state = client.up()
    talk(
        f"A lab of {len(state.servers)} servers and {len(state.vms)} VMs is up after {time.monotonic() - began:.1f} s."
    )
    try:
        yield client
    finally:
        client.down()


def _play(
    scenario: Scenario,
    client: "LabClient",
    settings: Settings,
    connections: tuple[str, ...],
    framework: str | None,
) -> bool:
    """One act; whether the verdict is the one it must be."""
    from vtrace_ovs.cli.running import run_task  # noqa: PLC0415 - Ryu and SQLAlchemy are slow to import
    from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest  # noqa: PLC0415 - as above

    request = trace_request(
        scenario.filter_text,
        packet_count=PACKETS,
        trace_time=TRACE_TIME,
        vni=None,
        source_vm=SOURCE,
        destination_vm=None,
    )
    protocol = TrafficProtocol(scenario.protocol)
    if scenario.fault is not None:
        client.fault(scenario.fault)
    sent = client.start_traffic(TrafficRequest(SOURCE, DESTINATION, protocol, scenario.port, TRAFFIC_RATE, 0))
    try:
        task, result, finished = run_task(request, settings, connections, framework)
    finally:
        client.stop_traffic(sent)
        if scenario.fault is not None:
            client.heal(scenario.fault)
    if not finished:
        raise KeyboardInterrupt
    if result is None:
        talk(f"vtrace: task {task.id} {task.state.value}: {task.reason}")
        return False
    emit(result_lines(result, 0))
    return _right(scenario, result)


def _right(scenario: Scenario, result: TaskResult) -> bool:
    return (result.verdict.disposition, result.verdict.code) == (scenario.disposition, scenario.code)
