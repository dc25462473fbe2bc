"""Turns text and bytes into a file the operator named. It is for its owner alone: tenants were captured."""

import os
from pathlib import Path

from vtrace_ovs.errors import UsageError


def write_file(path: Path, content: str | bytes) -> None:
    """Write the whole file, in UTF-8 where it is text; one that was there keeps its permissions.

    Raises UsageError when it cannot be written.
    """
    try:
        with open(path, "wb", opener=_for_its_owner) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}: name another file") from None


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
