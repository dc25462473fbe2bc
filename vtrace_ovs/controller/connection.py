"""Turns a connected stream socket into OpenFlow messages in, bytes out, on two hub threads."""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from vtrace_ovs.codecs.framing import Message, messages
from vtrace_ovs.controller.seam import cooperative, hub
from vtrace_ovs.errors import CodecError

RECEIVE_SIZE = 1 << 18


class Connection:
    """One OpenFlow connection. ``deliver`` gets every chunk's messages in order; ``lost`` is called once, with why."""

    def __init__(
        self,
        sock: socket.socket,
        deliver: Callable[[tuple[Message, ...]], None],
        lost: Callable[[str], None],
    ) -> None:
        self._socket: Any = cooperative(sock)
        self._deliver = deliver
        self._lost = lost
        self._outbox: Any = hub.Queue()
        self._closed = False

    def start(self) -> None:
        """Start both hub threads; of a connection that was closed before, nothing is left."""
        if self._closed:
            self._socket.close()
            return
        hub.spawn(self._write)
        hub.spawn(self._read)

    def send(self, octets: bytes) -> None:
        """Queue bytes; they leave in order."""
        self._outbox.put(octets)

    def close(self) -> None:
        """End the connection without calling ``lost``."""
        self._closed = True
        self._outbox.put(None)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (octets := self._outbox.get()) is not None:
                self._socket.sendall(octets)

    def _read(self) -> None:
        reason = "the connection was closed"
        pending = b""
        try:
            while chunk := self._socket.recv(RECEIVE_SIZE):
                received, pending = messages(pending + chunk)
                if received:
                    self._deliver(received)
        except (OSError, CodecError) as error:
            reason = str(error)
        finally:
            self._outbox.put(None)
            self._socket.close()
            if not self._closed:
                self._closed = True
                self._lost(reason)
