from pathlib import Path

import pytest

from vtrace_ovs.cli.inventory import ovsdb_of
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.errors import UsageError


def test_the_option_wins_over_the_environment_and_that_over_the_local_server(tmp_path: Path) -> None:
    rundir = {"VTRACE_RUNDIR": str(tmp_path)}
    given = read_settings({"VTRACE_OVSDB": "unix:/environment", **rundir}, 0)
    assert ovsdb_of(given, "unix:/option,tcp:192.0.2.1:6640") == ("unix:/option", "tcp:192.0.2.1:6640")
    assert ovsdb_of(given, None) == ("unix:/environment",)
    assert ovsdb_of(read_settings(rundir, 0), None) == ("unix:/var/run/openvswitch/db.sock",)


def test_remains_of_a_lab_are_no_servers(tmp_path: Path) -> None:
    (tmp_path / "lab" / "vpc").mkdir(parents=True)
    settings = read_settings({"VTRACE_RUNDIR": str(tmp_path)}, 0)
    assert ovsdb_of(settings, None) == settings.ovsdb


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--ovsdb"):
        ovsdb_of(read_settings({}, 0), "localhost")
