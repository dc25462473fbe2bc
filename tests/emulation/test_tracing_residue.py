"""However a trace ends, no Open vSwitch is left with anything of it."""

import signal
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
from tos_traffic import sending_tos
from vtrace_program import (
    DEADLINE,
    NEVER_SENT,
    UDP,
    Vtrace,
    await_that,
    differences,
    fingerprints,
    our_flows,
    pauses,
    sending,
    vfds,
)

from vtrace_ovs.instrumentation.cookies import SOURCE_BIT, Cookie
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab

RUN = ("run", UDP, "--from", "blue-web1")
INTERRUPTED = 130
STATES = ["analyser ready", "arming", "armed", "draining", "done"]


@pytest.fixture
def traffic(lab: Lab) -> Iterator[None]:
    with sending(lab):
        yield


@pytest.mark.usefixtures("unchanged", "traffic")
def test_a_trace_that_ends_by_itself_leaves_nothing(program: Vtrace) -> None:
    done = program(*RUN, "-n", "5")
    assert done.returncode == 0, done.stderr
    assert program.open_intents() == 0


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("any state", signal.SIGTERM),
        ("analyser ready", signal.SIGINT),
        ("arming", signal.SIGINT),
        ("arming", signal.SIGTERM),
        ("first flow", signal.SIGINT),
        ("first flow", signal.SIGTERM),
        ("armed", signal.SIGINT),
        ("armed", signal.SIGTERM),
        ("draining", signal.SIGTERM),
    ],
)
@pytest.mark.usefixtures("unchanged", "traffic")
def test_a_signal_leaves_nothing(lab: Lab, program: Vtrace, moment: str, number: signal.Signals) -> None:
    with program.started(*RUN, "-n", "20", "-t", "20") as process:
        await_that(lambda: process.poll() is not None or _has_come_to(moment, lab, program))
        process.send_signal(number)
        _, error = process.communicate(timeout=DEADLINE)
    assert (process.returncode, error) in {(INTERRUPTED, "vtrace: interrupted\n"), (0, ""), (-number, "")}
    assert our_flows(lab) == 0


def _has_come_to(moment: str, lab: Lab, program: Vtrace) -> bool:
    if moment == "first flow":
        return our_flows(lab) > 0
    state = program.state()
    return state in STATES and (moment == "any state" or STATES.index(state) >= STATES.index(moment))


@pytest.mark.usefixtures("unchanged", "traffic")
def test_a_cancelled_task_leaves_nothing_while_the_controller_stays(lab: Lab, program: Vtrace) -> None:
    with program.controller() as controller:
        number = program.add(NEVER_SENT, 5, 60)
        await_that(lambda: program.state(number) == "armed")
        assert our_flows(lab) > 0
        assert program("cancel", str(number)).returncode == 0
        await_that(lambda: program.state(number) == "cancelled")
        assert our_flows(lab) == 0
        assert controller.poll() is None


def _killed_while_armed(lab: Lab, program: Vtrace, *arguments: str) -> None:
    with program.started("run", *arguments) as process:
        await_that(lambda: program.state() == "armed")
        process.kill()
        process.wait(DEADLINE)
    assert our_flows(lab) > 0
    assert program.open_intents() > 0


@pytest.mark.usefixtures("unchanged")
def test_clean_removes_what_a_killed_controller_left(lab: Lab, program: Vtrace) -> None:
    _killed_while_armed(lab, program, NEVER_SENT)
    cleaned = program("clean")
    assert (cleaned.returncode, cleaned.stderr) == (0, "")
    assert len(cleaned.stdout.splitlines()) == len(vfds(lab))
    assert program.open_intents() == 0


@pytest.mark.usefixtures("unchanged", "traffic")
def test_the_next_run_removes_what_a_killed_controller_left(lab: Lab, program: Vtrace) -> None:
    _killed_while_armed(lab, program, NEVER_SENT)
    done = program(*RUN, "-n", "5")
    assert done.returncode == 0, done.stderr
    assert program.state(1) == "failed"
    assert program.open_intents() == 0


@pytest.mark.usefixtures("unchanged")
def test_a_switch_that_dies_and_comes_back_during_a_trace_is_left_clean(lab: Lab, program: Vtrace) -> None:
    with program.started("run", NEVER_SENT, "-t", "60") as process:
        await_that(lambda: program.state() == "armed")
        with lab.faults.injected(Fault(FaultName.VSWITCHD_DEAD, server="cs3")):
            assert process.poll() is None
        await_that(lambda: our_flows_of(lab, "cs3", "br-int") != [])
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=DEADLINE)
    assert (process.returncode, error) == (INTERRUPTED, "vtrace: interrupted\n")
    assert program.open_intents() == 0


def our_flows_of(lab: Lab, server: str, bridge: str) -> list[Cookie]:
    ovs = lab.ovs(server)
    text = ovs.ofctl(
        "--no-stats", "dump-flows", str(ovs.management_socket(bridge)), "cookie=0x5654000000000000/0xffff000000000000"
    )
    words = (line.strip().partition(",")[0] for line in text.splitlines() if "cookie=" in line)
    return [cookie for word in words if (cookie := Cookie.of(int(word.removeprefix("cookie="), 16)))]


def test_what_a_killed_controller_left_expires_and_no_packet_keeps_a_mark(lab: Lab, program: Vtrace) -> None:
    before = fingerprints(lab)
    with sending_tos(lab, 0, rate=40) as traffic:
        _killed_while_armed(lab, program, UDP, "-n", "500", "-t", "1")
        sources_gone = gone(lambda: not any(_carry(lab, source=True)))
        sinks_gone = gone(lambda: not any(_carry(lab, source=False)))
    assert sources_gone < sinks_gone
    assert traffic.received == traffic.sent
    assert traffic.marks
    left = differences(before, fingerprints(lab))
    assert all("meters: +" in line for line in left), "meters alone do not expire"
    assert program("clean").returncode == 0
    assert differences(before, fingerprints(lab)) == []


def gone(condition: Callable[[], bool]) -> float:
    """When it came about, at most a minute from now."""
    deadline = monotonic() + 60
    for now in pauses(0.5):
        if condition():
            return now
        assert now < deadline
    raise AssertionError


def _carry(lab: Lab, *, source: bool) -> Iterator[bool]:
    """Whether each VFD still carries flows that color, or others of ours."""
    for server, bridge in vfds(lab):
        yield any(bool(cookie.kind.value & SOURCE_BIT) is source for cookie in our_flows_of(lab, server, bridge))
