"""Turns "read these servers" into one event per server, on a native thread, off the way of everything else."""

import threading
from collections.abc import Callable
from time import time

from vtrace_ovs.session.boundary import ServerObserver
from vtrace_ovs.session.commands import ObserveServers
from vtrace_ovs.session.events import ServerObserved


class Observer:
    """``observe`` blocks for one server; ``post`` takes an event from any thread."""

    def __init__(self, observe: ServerObserver, post: Callable[[ServerObserved], None]) -> None:
        self._observe = observe
        self._post = post

    def carry_out(self, command: ObserveServers) -> None:
        """Read the servers one after another; nobody waits, so a slow one costs only readings."""
        threading.Thread(target=self._work, args=(command,), name="vtrace-observer", daemon=True).start()

    def _work(self, command: ObserveServers) -> None:
        for bridge in command.bridges:
            reading = self._observe(bridge)
            self._post(ServerObserved(time(), command.task_id, command.moment, bridge.id.node, reading))
