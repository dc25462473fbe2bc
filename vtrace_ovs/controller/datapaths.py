"""Turns "what do these datapaths do" into one event, on a native thread, off the way of everything else."""

import threading
from collections.abc import Callable
from time import time

from vtrace_ovs.session.boundary import DatapathReader
from vtrace_ovs.session.commands import ReadDatapaths
from vtrace_ovs.session.events import DatapathsRead


class Datapaths:
    """``read`` blocks for one question; ``post`` takes an event from any thread."""

    def __init__(self, read: DatapathReader, post: Callable[[DatapathsRead], None]) -> None:
        self._read = read
        self._post = post

    def carry_out(self, command: ReadDatapaths) -> None:
        """Ask one after another; a verdict without an answer is right too, only less sure."""
        threading.Thread(target=self._work, args=(command,), name="vtrace-datapaths", daemon=True).start()

    def _work(self, command: ReadDatapaths) -> None:
        readings = tuple(self._read(bridge, question) for bridge, question in command.questions)
        self._post(DatapathsRead(time(), command.task_id, readings))
