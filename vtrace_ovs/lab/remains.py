"""Turns the directory of a lab whose keeper died into nothing: its daemons end, its files go."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from vtrace_ovs.errors import LabError

END_DEADLINE = 10.0


def sweep(directory: Path) -> None:
    """End every daemon that a pid file under ``directory`` names, then remove the directory.

    The namespaces go with their last process; Mininet's shells ended with the keeper. A pid whose command line does
    not name this directory is somebody else's by now and left alone. Raises LabError when a daemon does not end.
    """
    pids = tuple(_daemons(directory))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + END_DEADLINE
    for pid in pids:
        while _is_daemon_of(pid, directory):
            if time.monotonic() > deadline:
                raise LabError(f"pid {pid} of the lab in {directory} does not end")
            time.sleep(0.01)
    shutil.rmtree(directory, ignore_errors=True)


def _daemons(directory: Path) -> Iterator[int]:
    for pidfile in sorted(directory.glob("*/*.pid")):
        try:
            pid = int(pidfile.read_text())
        except (OSError, ValueError):
            continue
        if _is_daemon_of(pid, directory):
            yield pid


def _is_daemon_of(pid: int, directory: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(directory) + b"/" in command
