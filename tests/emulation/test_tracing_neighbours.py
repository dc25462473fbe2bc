"""A flood that is traced disturbs its neighbours no more than the same flood that is not."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import pytest
from flooding import FAR, flooded
from vtrace_program import DEADLINE, Vtrace, await_that

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.ovsdb.unixctl import control_socket

NEIGHBOUR, FAR_END = "blue-web1", "10.0.2.22"
ROUNDS, PINGS, INTERVAL = 2, 50, "0.02"
TOLERATED = 0.1
"""Of the neighbour's packets: a machine that has too much to do loses some whenever it likes."""
RARE = 0.02
"""Of the flood's packets: megaflows change when a task begins and ends, and only then some of it misses them."""
SWITCHES = ("cs1", "gw1", "cs3")


def ping(lab: Lab) -> list[float]:
    """The round trips of the neighbour's pings that came back (ms)."""
    text = lab.vm(NEIGHBOUR).run("ping", "-n", "-W", "2", "-c", str(PINGS), "-i", INTERVAL, FAR_END)
    return [float(found) for found in re.findall(r"time=([0-9.]+) ms", text)]


def misses(lab: Lab) -> int:
    """Packets that had no megaflow so far, on all switches of the way."""
    shown = [lab.ovs(switch).appctl("dpif-netdev/pmd-stats-show") for switch in SWITCHES]
    return sum(int(found) for text in shown for found in re.findall(r"upcall: ([0-9]+)", text))


def neighbours_megaflows(lab: Lab) -> list[str]:
    """Those of the neighbour's port at its own switch."""
    with control_socket(lab.directory / "cs1", DEADLINE) as control:
        (dump,) = control.run(("dpctl/dump-flows", "--names"))
    return [line for line in dump.splitlines() if f"in_port({NEIGHBOUR})" in line and "proto=1," in line]


@contextmanager
def flood_traced(program: Vtrace) -> Iterator[None]:
    """A task for it, armed, until the block ends."""

    def state() -> str | None:
        return program.state(task)

    task = program.add(FAR.filter, 500, int(DEADLINE), source_vm="blue-web2")
    await_that(lambda: state() in {"armed", "draining", "done"}, state)
    yield
    with program.store() as store:
        store.request_cancel(task)
    await_that(lambda: state() in {"cancelled", "done"}, state)


@pytest.mark.usefixtures("unchanged")
def test_a_flood_costs_its_neighbours_no_more_when_it_is_traced(
    lab: Lab, program: Vtrace, record_property: Callable[[str, object], None]
) -> None:
    """Both in turn, in one flood, well below what the switches can carry: what is lost has a reason."""
    plain: list[float] = []
    traced: list[float] = []
    missed = offered = 0
    with program.controller() as controller, FAR.running(lab):
        for _ in range(ROUNDS):
            plain += ping(lab)
            before, came = misses(lab), flooded(lab)
            with flood_traced(program):
                traced += ping(lab)
                megaflows = neighbours_megaflows(lab)
            missed, offered = missed + misses(lab) - before, offered + flooded(lab) - came
            assert megaflows
            assert not [line for line in megaflows if "userspace" in line]
        assert controller.poll() is None
    record_property("neighbour", f"{median(plain):.2f} ms, traced {median(traced):.2f} ms")
    record_property("missed", f"{missed} of {offered}")
    asked = ROUNDS * PINGS
    assert asked - len(traced) <= asked - len(plain) + TOLERATED * asked
    assert missed <= RARE * offered, "the flood itself stays in the fast path, only copies of it do not"
