"""Turns OVSDB servers into a topology again and again, on a native thread, and tells when it has changed."""

import threading
from collections.abc import Callable

from vtrace_ovs.errors import VtraceError
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.session.boundary import InventorySource


class InventoryWatch:
    """Reads at once, then every ``interval`` seconds. ``changed`` gets each new topology.

    A first reading that fails is fatal (``failed``); later ones keep what is known: vswitchd outlives ovsdb-server.
    """

    def __init__(
        self,
        read: InventorySource,
        interval: float,
        changed: Callable[[Topology, tuple[str, ...]], None],
        failed: Callable[[VtraceError], None],
    ) -> None:
        self._read = read
        self._interval = interval
        self._changed = changed
        self._failed = failed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="vtrace-inventory", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        known: tuple[Topology, tuple[str, ...]] | None = None
        while not self._closing.is_set():
            try:
                latest = self._read()
            except VtraceError as error:
                if known is None:
                    self._failed(error)
                    return
            else:
                if latest != known:
                    known = latest
                    self._changed(*latest)
            self._closing.wait(self._interval)
