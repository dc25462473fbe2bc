"""Whatever cannot be traced is refused in one clear line, with the right exit code, and nothing is installed."""

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from vtrace_program import NEVER_SENT, UDP, Vtrace, our_flows

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.lab.network import Lab

USAGE, INFRASTRUCTURE = 2, 4
NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # The interpreter may lie in root's home: reading is allowed, opening other people's sockets and files is not.
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)

pytestmark = pytest.mark.usefixtures("unchanged")


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What the program said, in one line."""
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("vtrace: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((UDP, "-n", "501"), ("501", "500")),
        ((UDP, "-t", "601"), ("601", "600")),
        ((UDP, "-n", "many"), ("--packet-count", "integer")),
        ((UDP, "--from", "blue-web9"), ("blue-web9", "blue-web1")),
        ((UDP, "--to", "blue-web2"), ("10.0.2.22", "10.0.1.12")),
        ((UDP, "--vni", "999"), ("999", "101, 102, 201, 202")),
        ((UDP, "--vni", "201", "--from", "blue-web1"), ("blue-web1", "101", "201")),
        ((UDP, "--framework", "pox"), ("pox", "ryu", "os-ken")),
        ((UDP, "--ovsdb", "cs1"), ("cs1", "unix:PATH")),
    ],
    ids=lambda value: " ".join(value).replace(UDP, "").strip() if isinstance(value, tuple) else None,
)
def test_a_request_that_cannot_be_right_is_code_2(
    program: Vtrace, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    line = refusal(program("run", *arguments), USAGE)
    assert not [word for word in words if word not in line], line


@pytest.mark.parametrize(
    ("text", "fault"),
    [("udp,nw_src=10.0.1.300,tp_dst=5000", "10.0.1.300"), ("nw_src=10.0.1.11,tp_dst=443", "tp_dst=443")],
)
def test_a_filter_that_cannot_be_right_is_shown_with_a_caret_under_the_fault(
    program: Vtrace, text: str, fault: str
) -> None:
    done = program("run", text)
    assert (done.returncode, done.stdout) == (USAGE, "")
    message, shown, caret = done.stderr.splitlines()
    assert message.startswith("vtrace: ")
    assert shown[caret.index("^") : caret.rindex("^") + 1] in (fault, fault.partition("=")[0])


def test_no_ovsdb_server_is_code_4(program: Vtrace, tmp_path: Path) -> None:
    assert str(tmp_path / "db.sock") in refusal(
        program("run", UDP, "--ovsdb", f"unix:{tmp_path}/db.sock"), INFRASTRUCTURE
    )


def test_an_unknown_app_is_code_2(program: Vtrace) -> None:
    assert "no_such_app" in refusal(program("controller", "--app", "no_such_app"), USAGE)


def test_without_root_the_line_says_what_is_forbidden(program: Vtrace, tmp_path: Path) -> None:
    place = tmp_path / "nobodys"
    place.mkdir()
    place.chmod(0o777)
    done = as_nobody(program, place, "run", UDP)
    assert "ermission" in refusal(done, INFRASTRUCTURE)


def as_nobody(program: Vtrace, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "VTRACE_DATABASE": str(place / "vtrace.db"),
        "VTRACE_RUNDIR": str(place),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return program(*arguments, prefix=NOBODY, **environment)


@pytest.fixture
def old_bridge(tmp_path: Path) -> Iterator[OvsInstance]:
    """A bridge with a VM that speaks OpenFlow 1.0 only."""
    instance = OvsInstance(tmp_path / "old", dummy=True)
    port = ("add-port", "br0", "vm1", "--", "set", "Interface", "vm1", "type=dummy", "external_ids:iface-id=vm1")
    bridge = ("set", "Bridge", "br0", "datapath_type=dummy", "protocols=OpenFlow10", "fail_mode=secure")
    instance.start(("--", "add-br", "br0", "--", *bridge, "--", *port))
    yield instance
    instance.stop()


def test_a_bridge_without_openflow_13_is_code_4_with_the_remedy(program: Vtrace, old_bridge: OvsInstance) -> None:
    done = program("run", "tcp", "-t", "5", "--ovsdb", old_bridge.ovsdb)
    assert "ovs-vsctl add bridge br0 protocols OpenFlow13" in refusal(done, INFRASTRUCTURE)


@pytest.mark.parametrize("flaw", ["not ours", "newer", "read-only"])
def test_a_database_that_cannot_be_used_is_code_4(program: Vtrace, tmp_path: Path, flaw: str) -> None:
    place = tmp_path / "nobodys"
    place.mkdir()
    place.chmod(0o777)
    database = place / "vtrace.db"
    if flaw == "not ours":
        database.write_text("not a database, but long enough to look at " * 40)
        done = program("run", UDP, VTRACE_DATABASE=str(database))
    else:
        assert program("list", VTRACE_DATABASE=str(database)).returncode == 0
        if flaw == "newer":
            with sqlite3.connect(database) as connection:
                connection.execute("UPDATE vtrace_schema_version SET version_num = '9999'")
            connection.close()
            done = program("run", UDP, VTRACE_DATABASE=str(database))
        else:
            done = as_nobody(program, place, "add", UDP)
    line = refusal(done, INFRASTRUCTURE)
    assert str(database) in line


def test_a_second_controller_is_refused_and_the_first_one_named(lab: Lab, program: Vtrace) -> None:
    with program.controller() as controller:
        for arguments in (("run", UDP), ("controller",), ("clean",)):
            assert f"pid {controller.pid}" in refusal(program(*arguments), INFRASTRUCTURE)
        assert our_flows(lab) == 0


def test_a_dry_run_prints_every_flow_and_installs_none(lab: Lab, program: Vtrace) -> None:
    done = program("run", NEVER_SENT, "--from", "blue-web1", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    for vfd in ("cs1/br-int", "cs2/br-int", "cs3/br-int", "gw1/br-int", "gw1/vr-blue"):
        assert vfd in done.stdout
    assert "priority=65535" in done.stdout
    assert "meter" in done.stdout
    assert our_flows(lab) == 0
    assert not Path(program.environment["VTRACE_DATABASE"]).exists()
