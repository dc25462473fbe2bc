import os
from pathlib import Path

from vtrace_ovs.lab.remains import sweep


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path) -> None:
    remains = tmp_path / "vpc"
    (remains / "cs1").mkdir(parents=True)
    (remains / "cs1" / "ovs-vswitchd.pid").write_text(f"{os.getpid()}\n")
    (remains / "cs1" / "ovsdb-server.pid").write_text("not a pid")
    sweep(remains)
    assert not remains.exists()
