"""Turns values posted by native threads into calls on a hub thread, through a socket pair the hub can wait on."""

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from vtrace_ovs.controller.seam import cooperative, hub

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue from native threads into the hub. ``receive`` runs on a hub thread, in the order of posting.

    What is posted before ``start`` waits for it; nothing is open before.
    """

    def __init__(self, receive: Callable[[Item], None]) -> None:
        self._bell: socket.socket | None = None
        self._items: deque[Item] = deque()
        self._receive = receive

    def start(self) -> None:
        """Start the hub thread."""
        reading, bell = socket.socketpair()
        bell.setblocking(False)
        self._bell = bell
        hub.spawn(self._deliver, cooperative(reading), bell)

    def post(self, item: Item) -> None:
        """Hand over a value, from any thread."""
        self._items.append(item)
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell.send(b"!")

    def close(self) -> None:
        """End the hub thread once everything posted so far is delivered."""
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell.shutdown(socket.SHUT_WR)

    def _deliver(self, reading: Any, bell: socket.socket) -> None:  # noqa: ANN401 - a GreenSocket under eventlet
        self._drain()
        while reading.recv(4096):
            self._drain()
        self._drain()
        reading.close()
        bell.close()

    def _drain(self) -> None:
        while self._items:
            self._receive(self._items.popleft())
