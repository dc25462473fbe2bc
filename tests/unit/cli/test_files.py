from pathlib import Path

import pytest

from vtrace_ovs.cli.files import write_file
from vtrace_ovs.errors import UsageError


def test_what_is_written_is_its_owner_s_alone(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    write_file(place, "ü")
    assert place.read_bytes() == "ü".encode()
    assert place.stat().st_mode & 0o777 == 0o600
    write_file(place, b"")
    assert not place.read_bytes()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no/x.svg cannot be written: No such file or directory: name another"):
        write_file(tmp_path / "no" / "x.svg", "")
