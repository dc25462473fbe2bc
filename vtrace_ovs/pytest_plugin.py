"""Turns a user's Mininet test into assertions on real packets (pytest fixtures).

    def test_clients_reach_the_database(vtrace, net):
        with traffic(net):  # your own
            vtrace.assert_delivered("tcp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5432")

``vtrace`` traces on the OVSDB servers that the fixture ``vtrace_ovsdb`` names; override it where they are not those of
the command line. ``lab`` is a whole overlay to try things on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vtrace_ovs.cli.settings import Settings
    from vtrace_ovs.lab.network import Lab
    from vtrace_ovs.model.task import Task, TraceRequest
    from vtrace_ovs.model.verdict import CauseCode, Exchange, TaskResult

PACKET_COUNT = 5
TRACE_TIME = 10


@dataclass(frozen=True, slots=True)
class Tracer:
    """Traces in this process, as ``vtrace run`` does, and says what it found."""

    settings: "Settings"
    ovsdb: tuple[str, ...]

    def trace(  # noqa: PLR0913 - as trace_request
        self,
        filter_text: str,
        *,
        packet_count: int = PACKET_COUNT,
        trace_time: int = TRACE_TIME,
        vni: int | None = None,
        source_vm: str | None = None,
        destination_vm: str | None = None,
        wide: bool = False,
    ) -> "TaskResult":
        """Trace traffic that is being sent right now. ``trace_time`` is in seconds. Raises VtraceError."""
        from vtrace_ovs.filters import trace_request  # noqa: PLC0415 - every pytest run imports this plugin

        request = trace_request(
            filter_text,
            packet_count=packet_count,
            trace_time=trace_time,
            vni=vni,
            source_vm=source_vm,
            destination_vm=destination_vm,
            wide=wide,
        )
        return self.trace_all((request,))[0]

    def trace_all(self, requests: "Sequence[TraceRequest]") -> "tuple[TaskResult, ...]":
        """Trace several kinds of traffic at once. Raises VtraceError."""
        from vtrace_ovs.cli.running import run_tasks  # noqa: PLC0415 - as above

        ended, _ = run_tasks(requests, self.settings, self.ovsdb, None)
        return tuple(_result(task, result) for task, result in ended)

    def trace_both(
        self,
        filter_text: str,
        *,
        packet_count: int = PACKET_COUNT,
        trace_time: int = TRACE_TIME,
        source_vm: str | None = None,
        destination_vm: str | None = None,
    ) -> "Exchange":
        """Trace traffic and the replies to it. ``trace_time`` is in seconds. Raises VtraceError."""
        from vtrace_ovs.cli.running import run_exchange  # noqa: PLC0415 - every pytest run imports this plugin
        from vtrace_ovs.diagnosis.exchange import exchange  # noqa: PLC0415 - as above
        from vtrace_ovs.filters import trace_request  # noqa: PLC0415 - as above

        request = trace_request(
            filter_text,
            packet_count=packet_count,
            trace_time=trace_time,
            source_vm=source_vm,
            destination_vm=destination_vm,
        )
        tasks, results, _ = run_exchange(request, self.settings, self.ovsdb, None)
        there, back = map(_result, tasks, results)
        return exchange(there, back)

    def assert_delivered(self, filter_text: str, *, source_vm: str | None = None) -> "TaskResult":
        """Fail unless every traced packet was handed to its destination; an inconclusive trace fails too."""
        result = self.trace(filter_text, source_vm=source_vm)
        if result.verdict.disposition.value != "DELIVERED":
            pytest.fail(_story(result), pytrace=False)
        return result

    def assert_lost(self, filter_text: str, code: "CauseCode", *, source_vm: str | None = None) -> "TaskResult":
        """Fail unless loss was proven, for this cause."""
        result = self.trace(filter_text, source_vm=source_vm)
        if not result.verdict.disposition.is_loss or result.verdict.code is not code:
            pytest.fail(_story(result), pytrace=False)
        return result


def _result(task: "Task", result: "TaskResult | None") -> "TaskResult":
    """The result of a task that ended with one. Raises InfrastructureError."""
    from vtrace_ovs.errors import InfrastructureError  # noqa: PLC0415 - as above

    if result is None:
        raise InfrastructureError(f"task {task.id} {task.state.value}: {task.reason or 'no result'}")
    return result


def _story(result: "TaskResult") -> str:
    """The result as the command line would print it."""
    from vtrace_ovs.rendering.lines import plain_text  # noqa: PLC0415 - as above
    from vtrace_ovs.rendering.screen import result_lines  # noqa: PLC0415 - as above

    return plain_text(result_lines(result, 1))


@pytest.fixture
def vtrace_ovsdb() -> tuple[str, ...]:
    """The OVSDB servers to trace on: those of the command line's settings. Override it for your own topology."""
    from vtrace_ovs.cli.inventory import ovsdb_of  # noqa: PLC0415 - as above
    from vtrace_ovs.cli.settings import read_settings  # noqa: PLC0415 - as above

    return ovsdb_of(read_settings(), None)


@pytest.fixture
def vtrace(tmp_path_factory: pytest.TempPathFactory, vtrace_ovsdb: tuple[str, ...]) -> Tracer:
    """A tracer with a database of its own."""
    from vtrace_ovs.cli.settings import Settings  # noqa: PLC0415 - as above

    place = tmp_path_factory.mktemp("vtrace")
    return Tracer(
        Settings(vtrace_ovsdb, ovsdb_given=True, database=str(place / "vtrace.db"), rundir=place, colours=False),
        vtrace_ovsdb,
    )


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """The vpc overlay on real Open vSwitches, up for the whole session. Tests leave it healthy: ``lab.faults``."""
    from vtrace_ovs.lab.network import Lab  # noqa: PLC0415 - every pytest run imports this plugin
    from vtrace_ovs.lab.topologies import load_topology  # noqa: PLC0415 - as above

    with Lab(load_topology(), tmp_path_factory.mktemp("lab") / "vpc") as running:
        yield running
