"""Turns python-ovs into the one class used here, ``Stream``; the only module that imports it.

python-ovs imports eventlet if it can, only to learn whether ``select`` is monkey-patched. Nobody here patches anything
(design D10), so eventlet is hidden meanwhile: it would cost every command half a second and a deprecation warning.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without(package: str) -> Iterator[None]:
    if package in sys.modules:
        yield
        return
    # None makes "import eventlet" fail at once (docs.python.org, sys.modules); it is typed as a module only.
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


with _without("eventlet"):
    from ovs.stream import Stream

__all__ = ["Stream"]
