"""Turns "only one controller per host" into a lock on a file, which the kernel drops when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtrace_ovs.errors import InfrastructureError


@contextmanager
def controller_lock(rundir: Path) -> Iterator[None]:
    """Hold the lock while the block runs. Raises InfrastructureError naming the process that holds it already."""
    try:
        rundir.mkdir(parents=True, exist_ok=True)
        handle = os.open(rundir / "controller.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InfrastructureError(
            f"cannot make {rundir}: {error.strerror}; run as root, or set VTRACE_RUNDIR"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise InfrastructureError(
                f"a controller is already running (pid {holder}): give it the trace with `vtrace add`, wait, or stop it"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
