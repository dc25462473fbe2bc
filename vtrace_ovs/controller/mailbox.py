"""Turns values posted by native threads into calls on a hub thread, through a socket pair the hub can wait on."""

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from vtrace_ovs.controller.seam import cooperative, hub

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue from native threads into the hub. ``receive`` runs on a hub thread, in the order of posting."""

    def __init__(self, receive: Callable[[Item], None]) -> None:
        reading, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        self._reading: Any = cooperative(reading)
        self._items: deque[Item] = deque()
        self._receive = receive

    def start(self) -> None:
        """Start the hub thread."""
        hub.spawn(self._deliver)

    def post(self, item: Item) -> None:
        """Hand over a value, from any thread."""
        self._items.append(item)
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def close(self) -> None:
        """End the hub thread once everything posted so far is delivered."""
        with contextlib.suppress(OSError):
            self._bell.shutdown(socket.SHUT_WR)

    def _deliver(self) -> None:
        while self._reading.recv(4096):
            self._drain()
        self._drain()
        self._reading.close()
        self._bell.close()

    def _drain(self) -> None:
        while self._items:
            self._receive(self._items.popleft())
