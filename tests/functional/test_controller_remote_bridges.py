"""Remote bridges dial us, are traced end to end under both frameworks, and are afterwards as they were before."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_overlay import BRIDGES, Overlay, disposition

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import IntentKind, TaskState

FRAMEWORKS = ("os-ken", "ryu")
LISTEN = ("--listen", "tcp:127.0.0.1:0")
TRACE = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", "3", "-t", "15", "-o", "json")


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path)


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    instance = overlay.ovs
    instance.start()
    overlay.build(instance)
    yield instance
    instance.stop()


def rows(ovs: OvsInstance) -> list[str]:
    """Type and mode of every Controller row."""
    listed = ovs.vsctl("--bare", "--columns=type,connection_mode", "--format=csv", "list", "controller")
    return listed.split()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("destination", "fate"), [("10.0.0.2", "DELIVERED"), ("10.0.0.9", "DROPPED")])
def test_a_remote_overlay_is_traced_end_to_end(
    overlay: Overlay, ovs: OvsInstance, framework: str, destination: str, fate: str
) -> None:
    before = overlay.fingerprints()
    with overlay.background(*TRACE, *LISTEN, "--framework", framework) as process:
        overlay.wait_for(TaskState.ARMED, process)
        assert rows(ovs) == ["service,out-of-band"] * len(BRIDGES)
        overlay.send(ovs, destination, 3)
        assert disposition(process) == fate
        assert process.returncode == (0 if fate == "DELIVERED" else 1)
    assert overlay.fingerprints() == before
    assert overlay.open_intents() == ()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_same_overlay_by_its_local_sockets(overlay: Overlay, ovs: OvsInstance, framework: str) -> None:
    before = overlay.fingerprints()
    with overlay.background(*TRACE, "--framework", framework, VTRACE_OVSDB=ovs.ovsdb) as process:
        overlay.wait_for(TaskState.ARMED, process)
        assert rows(ovs) == []
        overlay.send(ovs, "10.0.0.9", 3)
        assert disposition(process) == "DROPPED"
    assert overlay.fingerprints() == before


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_a_killed_controller_left_is_cleaned(overlay: Overlay, ovs: OvsInstance, framework: str) -> None:
    before = overlay.fingerprints()
    with overlay.background(*TRACE, *LISTEN, "--framework", framework) as process:
        overlay.wait_for(TaskState.ARMED, process)
        process.kill()
        process.wait()
    assert len(rows(ovs)) == len(BRIDGES)
    assert IntentKind.CONTROLLER_ROW in {intent.kind for intent in overlay.open_intents()}
    cleaned = overlay.vtrace("clean", *LISTEN)
    assert cleaned.returncode == 0, cleaned.stderr
    assert overlay.fingerprints() == before
    assert overlay.open_intents() == ()


def test_cleaning_without_an_address_removes_the_rows_and_says_what_is_left(overlay: Overlay, ovs: OvsInstance) -> None:
    with overlay.background(*TRACE, *LISTEN) as process:
        overlay.wait_for(TaskState.ARMED, process)
        process.kill()
        process.wait()
    cleaned = overlay.vtrace("clean")
    assert cleaned.returncode == 4
    assert "--listen tcp:IP:PORT" in cleaned.stderr
    assert rows(ovs) == []
    assert {intent.kind for intent in overlay.open_intents()} == {IntentKind.FLOWS, IntentKind.METER}


def test_nothing_is_in_ovsdb_while_no_task_runs(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    with overlay.background("controller", *LISTEN) as process:
        for task_id in (1, 2):
            assert overlay.vtrace("add", *TRACE[1:6]).stdout == f"{task_id}\n"
            overlay.wait_for(TaskState.ARMED, process, task_id)
            overlay.send(ovs, "10.0.0.2", 3)
            overlay.wait_for(TaskState.DONE, process, task_id)
            overlay.wait_until(lambda: overlay.fingerprints() == before and not overlay.open_intents())


def test_a_bridge_without_openflow_13_is_named_with_the_remedy(overlay: Overlay, ovs: OvsInstance) -> None:
    for name in BRIDGES:
        ovs.vsctl("set", "bridge", name, "protocols=OpenFlow10")
    for variables in ({}, {"VTRACE_OVSDB": ovs.ovsdb}):
        refused = overlay.vtrace(*TRACE, *LISTEN, **variables)
        assert refused.returncode == 4
        assert "protocols OpenFlow13" in refused.stderr
    assert rows(ovs) == []


def test_a_missing_or_unusable_address_is_named_with_the_remedy(overlay: Overlay, ovs: OvsInstance) -> None:
    silent = overlay.vtrace(*TRACE)
    assert (silent.returncode, "--listen tcp:IP:PORT" in silent.stderr) == (4, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        used = overlay.vtrace(*TRACE, VTRACE_LISTEN=place)
    assert (used.returncode, f"cannot listen on {place}" in used.stderr) == (4, True)
    assert rows(ovs) == []
