"""Turns a listening socket into one call per bridge that dials us, on a hub thread that ends when told to."""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from vtrace_ovs.controller.seam import cooperative, hub
from vtrace_ovs.controller.service_address import ServiceAddress, prepare, target_of

OUT_OF_DESCRIPTORS = 0.1


class Listener:
    """Accepts from the moment it is made. ``arrived`` gets each connection. Raises InfrastructureError as ``listen``.

    The frameworks' own stream servers cannot be ended: their accept loop survives the closing of its socket under
    native threads. Shutting a listening socket down wakes its accept(2) under both.
    """

    def __init__(self, address: ServiceAddress, arrived: Callable[[socket.socket], None]) -> None:
        listening = address.listen()
        self.target = target_of(listening)
        self._socket: Any = cooperative(listening)
        self._arrived = arrived
        self._open = True
        hub.spawn(self._accept)

    def close(self) -> None:
        """Stop accepting."""
        self._open = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while self._open:
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                hub.sleep(OUT_OF_DESCRIPTORS if self._open else 0)
                continue
            # Under eventlet this is a green socket; what a connection is made from is a plain one.
            plain = socket.socket(fileno=os.dup(accepted.fileno()))
            accepted.close()
            if self._open:
                self._arrived(prepare(plain))
            else:
                plain.close()
        self._socket.close()
