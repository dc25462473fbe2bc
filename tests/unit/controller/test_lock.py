import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtrace_ovs.controller.lock import controller_lock
from vtrace_ovs.errors import InfrastructureError

HOLDER = """
import sys
from pathlib import Path
from vtrace_ovs.controller.lock import controller_lock
with controller_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        controller_lock(tmp_path),
        pytest.raises(InfrastructureError, match=rf"already running \(pid {os.getpid()}\)"),
        controller_lock(tmp_path),
    ):
        pass


def test_the_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with controller_lock(tmp_path / "made" / "here"):
            pass


def test_a_holder_that_dies_leaves_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InfrastructureError, match=f"pid {holder.pid}"), controller_lock(tmp_path):
            pass
        holder.kill()
        holder.wait()
    with controller_lock(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InfrastructureError, match="VTRACE_RUNDIR"), controller_lock(file):
        pass
