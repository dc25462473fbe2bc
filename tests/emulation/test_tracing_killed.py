"""kill -9 at any step of a task's life: no VM ever sees a mark, and everything of ours can be taken out again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from openflow_gate import Gate, Sent
from tos_traffic import sending_tos
from vtrace_program import DEADLINE, UDP, Vtrace, our_flows

from vtrace_ovs.cli.running import clean_bridges
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.lab.network import Lab

RUN = ("run", UDP, "--from", "blue-web1", "-n", "20", "-t", "20")
RATE = 200
SOME = 30
Due = Callable[[list[Sent], Sent], bool]


def before(wanted: Sent, *, number: int = 0) -> Due:
    """When so many messages of this kind got through, and one more wants to."""
    return lambda history, what: what is wanted and history.count(wanted) == number


def unconfirmed(history: list[Sent], what: Sent) -> bool:
    """When sources are in, and the barrier behind them is not."""
    return what is Sent.BARRIER and Sent.SOURCE_IN in history


STEPS: dict[str, tuple[Due, bool]] = {  # and whether flows of ours are there then
    "intents are written": (before(Sent.METER_IN), False),
    "a meter is in": (before(Sent.SINK_IN), False),
    "some sinks are in": (before(Sent.SINK_IN, number=SOME), True),
    "all sinks are in": (before(Sent.SOURCE_IN), True),
    "sources are in": (unconfirmed, True),
    "all packets are colored": (before(Sent.SOURCE_OUT), True),
    "a source is out": (before(Sent.SOURCE_OUT, number=1), True),
    "all sources are out": (before(Sent.SINK_OUT), True),
    "some sinks are out": (before(Sent.SINK_OUT, number=SOME), True),
    "a bridge's sinks are out": (before(Sent.METER_OUT), True),
}


@contextmanager
def stopped_at(due: Due, lab: Lab, program: Vtrace, place: Path) -> Iterator[Popen[str]]:
    """A trace that has come to this step and can do nothing more to any switch."""
    gate = Gate(lab, place, due)
    with program.started(*RUN, VTRACE_OVSDB=",".join(gate.ovsdb)) as process:
        assert gate.shut.wait(DEADLINE), process.poll()
        yield process
    gate.close()


@pytest.mark.usefixtures("unchanged")
def test_killed_at_any_step_no_vm_sees_a_mark_and_clean_removes_all(lab: Lab, program: Vtrace, tmp_path: Path) -> None:
    settings = read_settings(program.environment)
    with sending_tos(lab, 0, rate=RATE, everywhere=True) as traffic:
        for step, (due, flows) in STEPS.items():
            with stopped_at(due, lab, program, tmp_path / step) as process:
                process.kill()
                process.wait(DEADLINE)
            assert program.open_intents() > 0, step
            assert bool(our_flows(lab)) is flows, step
            assert not any(cleaned.problem for cleaned in clean_bridges(settings, settings.ovsdb)), step
            assert (our_flows(lab), program.open_intents()) == (0, 0), step
    assert traffic.received == traffic.sent
    assert not traffic.astray
    assert traffic.marks
