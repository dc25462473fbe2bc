"""``vtrace explain`` reads remote bridges by rows that are gone afterwards; those of a running task stay."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from remote_overlay import BRIDGES, DEADLINE, LISTEN, Overlay, rows

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import TaskState

MACS = "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02"
EXPLAIN = (
    "explain",
    f"udp,nw_src=10.0.0.1,nw_dst=10.0.0.9,tp_src=4000,tp_dst=53,{MACS}",
    "--from",
    "vm1",
    "-o",
    "json",
)


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        yield instance


def way(document: str) -> list[tuple[str, bool]]:
    """The bridges of the way, and whether it ended there by a drop."""
    hops: list[dict[str, Any]] = json.loads(document)["groups"][0]["path"]["hops"]
    return [(hop["bridge"].rpartition("/")[2], hop["drop"] is not None) for hop in hops]


def test_remote_bridges_are_read_and_are_as_before(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    explained = overlay.vtrace(*EXPLAIN, *LISTEN)
    assert (explained.returncode, explained.stderr) == (1, "")
    assert way(explained.stdout) == [("sw1", False), ("sw2", True)]
    assert overlay.fingerprints() == before
    assert rows(ovs) == []
    assert way(overlay.vtrace(*EXPLAIN, VTRACE_OVSDB=ovs.ovsdb).stdout) == way(explained.stdout)


def test_without_an_address_the_remedy_is_named(overlay: Overlay, ovs: OvsInstance) -> None:
    refused = overlay.vtrace(*EXPLAIN)
    assert refused.returncode == 3
    problems = refused.stderr.splitlines()
    assert len(problems) == len(BRIDGES)
    assert all("--listen tcp:IP:PORT" in problem for problem in problems)
    assert rows(ovs) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_reading_takes_its_rows_back(overlay: Overlay, ovs: OvsInstance, number: signal.Signals) -> None:
    """ovs-vswitchd is stopped meanwhile, so that nobody dials."""
    before = overlay.fingerprints()
    vswitchd = ovs.pids["ovs-vswitchd"]
    os.kill(vswitchd, signal.SIGSTOP)
    try:
        with overlay.background(*EXPLAIN, *LISTEN) as process:
            overlay.wait_until(lambda: rows(ovs) == ["service,out-of-band"] * len(BRIDGES))
            process.send_signal(number)
            _, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, err) == (130, "vtrace: interrupted\n")
        assert rows(ovs) == []
    finally:
        os.kill(vswitchd, signal.SIGCONT)
    assert overlay.fingerprints() == before


def test_the_rows_of_a_running_task_stay(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    task = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", "1", "-t", "15", "-o", "json")
    with overlay.background(*task, *LISTEN) as process:
        overlay.wait_for(TaskState.ARMED, process)
        assert way(overlay.vtrace(*EXPLAIN, *LISTEN).stdout) == [("sw1", False), ("sw2", True)]
        assert rows(ovs) == ["service,out-of-band"] * len(BRIDGES)
        overlay.send(ovs, "10.0.0.9", 1)
        assert process.communicate(timeout=DEADLINE)[0]
        assert process.returncode == 1
    assert overlay.fingerprints() == before
