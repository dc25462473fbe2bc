"""Turns one bridge into answers, blocking: for moments and threads without a hub (``clean``, ``--dry-run``)."""

import socket
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from vtrace_ovs.codecs.framing import messages
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.errors import OpenFlowError
from vtrace_ovs.model.flow import FlowMod, MeterMod
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import BridgeRead, BridgeUp, CountersRead, Event, PacketInReceived, Programmed

RECEIVE_SIZE = 1 << 18

Awaited = TypeVar("Awaited", BridgeUp, BridgeRead, CountersRead, Programmed)


def dial(bridge: Bridge, path: str, controller_id: int, timeout: float) -> "Dialogue":
    """The dialogue with a local bridge over its management socket. Raises OSError when it cannot be dialled."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return Dialogue(sock, bridge.id, controller_id, timeout)


class Dialogue:
    """A BridgeLink over a connected socket, pumped until an awaited event comes.

    ``timeout`` (seconds) is for all answers together; ``name`` and ``identify`` are as for a BridgeLink. Raises
    OSError or OpenFlowError, here and in every call, when the bridge does not answer.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: BridgeId,
        controller_id: int,
        timeout: float,
        identify: Callable[[int], BridgeId] | None = None,
    ) -> None:
        self._deadline = monotonic() + timeout
        self._events: list[Event] = []
        self._socket = sock
        self._socket.settimeout(timeout)
        self._pending = b""
        self.link = BridgeLink(name, controller_id, self._socket.sendall, self._events.append, identify)
        try:
            self.link.begin()
            self.wait_for(BridgeUp)
        except (OSError, OpenFlowError):
            self._socket.close()
            raise

    def read(self) -> BridgeRead:
        """Everything that decides a packet's way through the bridge, as it is now."""
        self.link.read()
        return self.wait_for(BridgeRead)

    def read_counters(self) -> CountersRead:
        """What our own flows, and all meters, have counted so far."""
        self.link.read_counters()
        return self.wait_for(CountersRead)

    def program(self, mods: tuple[FlowMod | MeterMod, ...]) -> Programmed:
        """Send changes and wait until they have taken effect."""
        self.link.program(Program(self.link.bridge, 0, mods))
        return self.wait_for(Programmed)

    def wait_for(self, kind: type[Awaited]) -> Awaited:
        """The next event of this kind. Raises OpenFlowError when it does not come in time."""
        while (found := next((event for event in self._events if isinstance(event, kind)), None)) is None:
            if monotonic() > self._deadline:
                raise OpenFlowError(f"{self.link.bridge} does not answer; ovs-vswitchd may hang")
            self._take(self._socket.recv(RECEIVE_SIZE))
        self._events.remove(found)
        return found

    def listen(self, seconds: float) -> list[PacketInReceived]:
        """The packet-ins that have come, and come in so many seconds."""
        until, usual = monotonic() + seconds, self._socket.gettimeout()
        try:
            while (left := until - monotonic()) > 0:
                self._socket.settimeout(left)
                self._take(self._socket.recv(RECEIVE_SIZE))
        except TimeoutError:
            pass
        finally:
            self._socket.settimeout(usual)
        heard = [event for event in self._events if isinstance(event, PacketInReceived)]
        self._events[:] = [event for event in self._events if not isinstance(event, PacketInReceived)]
        return heard

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            raise OpenFlowError(f"{self.link.bridge} closed the connection")
        received, self._pending = messages(self._pending + chunk)
        for message in received:
            self.link.message(message)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
