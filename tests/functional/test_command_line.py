"""The ``vtrace`` program as a shell sees it: exit codes, streams, encodings, and a real Open vSwitch for doctor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtrace_ovs.lab.daemons import OvsInstance

SILENT = {"VTRACE_OVSDB": "", "NO_COLOR": ""}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    places = {"VTRACE_DATABASE": str(tmp_path / "vtrace.db"), "VTRACE_RUNDIR": str(tmp_path / "run")}
    return {**os.environ, **SILENT, **places}


def vtrace(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtrace_ovs", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_task_goes_from_add_to_list(environment: dict[str, str]) -> None:
    added = vtrace(environment, "add", "tcp,tp_dst=443")
    assert (added.returncode, added.stdout) == (0, "1\n")
    listed = vtrace(environment, "list", "-o", "json")
    assert [task["filter"] for task in json.loads(listed.stdout)["tasks"]] == ["tcp,tp_dst=443"]
    assert vtrace(environment, "result", "1").returncode == 3


def test_usage_is_counted_from_the_database_and_drawn(environment: dict[str, str], tmp_path: Path) -> None:
    vtrace(environment, "add", "tcp", "-n", "30", "-t", "600")
    counted = vtrace(environment, "usage", "-o", "json", "--svg", str(tmp_path / "usage.svg"))
    assert json.loads(counted.stdout)["trace_time"] == [{"value": 600, "tasks": 1, "cumulative_share": 1.0}]
    assert (tmp_path / "usage.svg").read_text().endswith("</svg>\n")


def test_wrong_usage_is_code_2_on_stderr(environment: dict[str, str]) -> None:
    wrong = vtrace(environment, "add", "tcp,tp_dst=https")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.endswith("             ^^^^^\n")


def test_a_database_that_is_not_ours_is_code_4(environment: dict[str, str]) -> None:
    Path(environment["VTRACE_DATABASE"]).write_text("not a database, but long enough to look at " * 40)
    wrong = vtrace(environment, "list")
    assert (wrong.returncode, wrong.stdout) == (4, "")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_terminal_without_unicode_gets_ascii(environment: dict[str, str], tmp_path: Path) -> None:
    plain = {**environment, "PYTHONIOENCODING": "ascii", "VTRACE_OVSDB": f"unix:{tmp_path}/db.sock"}
    assert vtrace(plain, "doctor").stdout.isascii()


def test_a_reader_that_leaves_early_does_not_change_the_exit_code(environment: dict[str, str]) -> None:
    vtrace(environment, "add", "tcp")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "vtrace_ovs", "list"]
    done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_doctor_finds_a_working_open_vswitch_and_a_dead_one(environment: dict[str, str], ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    alive = vtrace(environment, "doctor", "--ovsdb", ovs.ovsdb, "-o", "json")
    assert alive.returncode == 0
    checks = {check["name"]: check for check in json.loads(alive.stdout)["checks"]}
    assert checks["ovsdb"]["found"] == f"{ovs.ovsdb}, 1 bridges"
    assert checks["bridge"]["ok"]
    ovs.kill("ovs-vswitchd")
    dead = vtrace(environment, "doctor", "--ovsdb", ovs.ovsdb)
    assert dead.returncode == 4
    assert "start ovs-vswitchd" in dead.stdout


def test_doctor_changes_nothing(environment: dict[str, str], ovs: OvsInstance) -> None:
    before = ovs.vsctl("show")
    vtrace(environment, "doctor", "--ovsdb", ovs.ovsdb)
    assert ovs.vsctl("show") == before
    assert not Path(environment["VTRACE_DATABASE"]).exists()
