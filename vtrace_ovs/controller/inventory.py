"""Turns OVSDB servers into a topology again and again, on a native thread, and tells when it has changed."""

import threading
from collections.abc import Callable

from vtrace_ovs.errors import VtraceError
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.session.boundary import InventorySource


class InventoryWatch:
    """Reads at once, then every ``interval`` seconds. ``changed`` gets each new topology.

    A first reading that fails is fatal (``failed``); later ones keep what is known, of all servers or of those that
    cannot be read just now: vswitchd outlives ovsdb-server, and may carry flows of ours.
    """

    def __init__(
        self,
        read: InventorySource,
        interval: float,
        changed: Callable[[Topology, tuple[str, ...]], None],
        failed: Callable[[Exception], None],
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
        try:
            while not self._closing.is_set():
                latest = self._latest(known)
                if latest != known:
                    known = latest
                    self._changed(*latest)
                self._closing.wait(self._interval)
        except Exception as error:  # noqa: BLE001 - a watch that stops silently would leave tasks waiting
            self._failed(error)

    def _latest(self, known: tuple[Topology, tuple[str, ...]] | None) -> tuple[Topology, tuple[str, ...]]:
        try:
            topology, problems = self._read()
        except VtraceError:
            if known is None:
                raise
            return known
        return (topology if known is None else _keeping(known[0], topology, problems)), problems


def _keeping(known: Topology, latest: Topology, problems: tuple[str, ...]) -> Topology:
    """The latest topology, with the servers that could not be read as they were."""
    read = {node.name for node in latest.nodes}
    kept = tuple(
        node
        for node in known.nodes
        if node.name not in read and any(problem.startswith(f"{node.ovsdb}: ") for problem in problems)
    )
    names = {node.name for node in kept}
    bridges = tuple(bridge for bridge in known.bridges if bridge.id.node in names)
    return Topology((*latest.nodes, *kept), (*latest.bridges, *bridges)) if kept else latest
