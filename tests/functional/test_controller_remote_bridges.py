"""Remote bridges dial us, are traced end to end under both frameworks, and are afterwards as they were before."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_overlay import BRIDGES, LISTEN, Overlay, disposition, listening_port, rows

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.task import IntentKind, TaskState

FRAMEWORKS = ("os-ken", "ryu")
TRACE = ("run", "udp,nw_src=10.0.0.1,tp_dst=53", "-n", "3", "-t", "15", "-o", "json")


@pytest.fixture
def ovs(overlay: Overlay) -> Iterator[OvsInstance]:
    with overlay.up() as instance:
        yield instance


@pytest.fixture
def tls_server(ovs: OvsInstance) -> Iterator[tuple[str, dict[str, str]]]:
    """A relay, a second, TLS-only ovsdb-server in front of the same database (ovsdb(7)), and what reaching it takes."""
    key, certificate = ovs.directory / "key.pem", ovs.directory / "cert.pem"
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ovs")
    ovs.run(*request, "-keyout", str(key), "-out", str(certificate))
    place = ovs.directory / "relay"
    files = (f"--private-key={key}", f"--certificate={certificate}", f"--ca-cert={certificate}")
    daemon = ("--detach", "--no-chdir", f"--pidfile={place}.pid", f"--log-file={place}.log", f"--unixctl={place}.ctl")
    ovs.run("ovsdb-server", "--remote=pssl:0:127.0.0.1", *files, *daemon, f"relay:Open_vSwitch:{ovs.ovsdb}")
    variables = {"VTRACE_TLS_KEY": str(key), "VTRACE_TLS_CERT": str(certificate), "VTRACE_TLS_CA": str(certificate)}
    yield f"ssl:127.0.0.1:{listening_port(ovs, 'relay')}", variables
    os.kill(int(Path(f"{place}.pid").read_text()), signal.SIGTERM)


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


def test_what_a_killed_controller_left_is_cleaned_by_local_sockets(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    with overlay.background(*TRACE, VTRACE_OVSDB=ovs.ovsdb) as process:
        overlay.wait_for(TaskState.ARMED, process)
        process.kill()
        process.wait()
    assert overlay.fingerprints() != before
    assert overlay.vtrace("clean", VTRACE_OVSDB=ovs.ovsdb).returncode == 0
    assert overlay.fingerprints() == before
    assert overlay.open_intents() == ()


def test_the_next_controller_takes_over_what_a_killed_one_left(overlay: Overlay, ovs: OvsInstance) -> None:
    before = overlay.fingerprints()
    for killed in (True, False):
        with overlay.background(*TRACE, *LISTEN) as process:
            overlay.wait_for(TaskState.ARMED, process, 1 if killed else 2)
            if killed:
                process.kill()
                process.wait()
            else:
                overlay.send(ovs, "10.0.0.2", 3)
                assert disposition(process) == "DELIVERED"
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


def test_a_tls_server_is_reached_with_the_files_of_the_environment(
    overlay: Overlay, ovs: OvsInstance, tls_server: tuple[str, dict[str, str]]
) -> None:
    before = overlay.fingerprints()
    overlay.remote, files = tls_server
    without = overlay.vtrace(*TRACE, *LISTEN)
    assert (without.returncode, "VTRACE_TLS_KEY" in without.stderr) == (4, True)
    with overlay.background(*TRACE, *LISTEN, **files) as process:
        overlay.wait_for(TaskState.ARMED, process)
        assert rows(ovs) == ["service,out-of-band"] * len(BRIDGES)
        overlay.send(ovs, "10.0.0.9", 3)
        assert disposition(process) == "DROPPED"
    assert overlay.fingerprints() == before
    assert f"{overlay.remote}, {len(BRIDGES)} bridges" in overlay.vtrace("doctor", **files).stdout
