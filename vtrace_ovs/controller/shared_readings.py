"""Turns what many ask of one server at the same time into as few readings of it as answer them all."""

import threading
from collections.abc import Callable
from typing import TypeAlias

from vtrace_ovs.model.cost import ServerReading
from vtrace_ovs.model.topology import Bridge
from vtrace_ovs.session.boundary import ServerObserver

Question: TypeAlias = tuple[str, bool]
"""A server, and whether its full zones are asked for."""


class SharedReading:
    """One reading of a server, for all who joined before it began; made on the thread of who comes first for it."""

    def __init__(self, turn: threading.Lock, begin: Callable[[], ServerReading | None]) -> None:
        self._turn = turn
        self._begin = begin
        self._made = False
        self._reading: ServerReading | None = None

    def result(self) -> ServerReading | None:
        """What the server says, when nobody else is reading it."""
        with self._turn:
            if not self._made:
                self._reading, self._made = self._begin(), True
        return self._reading


class SharedReadings:
    """Readings of servers, of each one at a time. Every reading costs ovs-vswitchd time in which it could forward.

    Tasks that are armed together ask together. Nobody gets a reading that began before the question.
    """

    def __init__(self, observe: ServerObserver) -> None:
        self._observe = observe
        self._lock = threading.Lock()
        self._turns: dict[Question, threading.Lock] = {}
        self._next: dict[Question, SharedReading] = {}

    def join(self, bridge: Bridge, *, zones: bool) -> SharedReading:
        """The next reading of the server of this bridge; does not wait for it."""
        question = bridge.id.node, zones

        def begin() -> ServerReading | None:
            with self._lock:
                del self._next[question]
            return self._observe(bridge, zones=zones)

        with self._lock:
            if question not in self._next:
                turn = self._turns.setdefault(question, threading.Lock())
                self._next[question] = SharedReading(turn, begin)
            return self._next[question]
