"""Turns "name these cookies" into one event with their names, on a native thread, off the way of everything else."""

import threading
from collections.abc import Callable
from time import time

from vtrace_ovs.session.boundary import FlowNamer
from vtrace_ovs.session.commands import NameFlows
from vtrace_ovs.session.events import FlowsNamed


class Namer:
    """``name`` blocks; ``post`` takes an event from any thread."""

    def __init__(self, name: FlowNamer, post: Callable[[FlowsNamed], None]) -> None:
        self._name = name
        self._post = post

    def carry_out(self, command: NameFlows) -> None:
        """Ask; a verdict without names is right too, so nothing fails when nobody answers."""
        threading.Thread(target=self._work, args=(command,), name="vtrace-namer", daemon=True).start()

    def _work(self, command: NameFlows) -> None:
        named = self._name(command.cookies)
        self._post(FlowsNamed(time(), command.cookies, named))
