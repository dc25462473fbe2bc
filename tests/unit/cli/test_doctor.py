import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vtrace_ovs.cli.doctor import database_check, ovsdb_checks
from vtrace_ovs.rendering.checks import Need

Vtrace = Callable[..., tuple[int, str, str]]


def test_a_database_that_can_be_made_is_good(tmp_path: Path) -> None:
    place = tmp_path / "not" / "yet" / "vtrace.db"
    assert database_check(str(place)).ok
    assert not place.parent.exists()


def test_an_existing_database_file_is_good(tmp_path: Path) -> None:
    place = tmp_path / "vtrace.db"
    place.write_bytes(b"")
    assert database_check(str(place)).ok


@pytest.mark.parametrize("wrong", ["", "file/vtrace.db"])
def test_a_database_that_cannot_be_written_has_a_remedy(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").write_text("")
    check = database_check(str(tmp_path / wrong))
    assert not check.ok
    assert "VTRACE_DATABASE" in check.remedy


def test_a_database_server_is_not_asked() -> None:
    assert database_check("postgresql://user:secret@host/name").found == "a server, not asked yet"


def test_a_missing_ovsdb_stops_tracing_and_says_what_to_do(tmp_path: Path) -> None:
    (check,) = ovsdb_checks(f"unix:{tmp_path}/db.sock", 1.0)
    assert (check.ok, check.need) == (False, Need.TRACING)
    assert "VTRACE_OVSDB" in check.remedy


def test_doctor_reports_every_check_and_exits_4_without_ovsdb(
    vtrace: Vtrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTRACE_OVSDB", f"unix:{tmp_path}/db.sock")
    code, out, err = vtrace("doctor", "-o", "json")
    names = [check["name"] for check in json.loads(out)["checks"]]
    assert (code, err) == (4, "")
    assert {"python", "openflow", "database", "ovs-vsctl", "ovsdb", "user", "kernel", "mnexec", "mininet"} <= set(names)
    assert "Tracing cannot work here." in vtrace("doctor")[1]
