"""Turns the wire between controller and VFDs into a place a test can stand at: every OpenFlow message passes it.

Directories that look like the servers' own, with their OVSDB sockets, and management sockets that pass on what comes,
message by message, both ways, unless the test keeps it.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vtrace_program import vfds

from vtrace_ovs.codecs.framing import Message, messages
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.topology import BridgeId

RECEIVE_SIZE = 1 << 16
SHARED_FILES = ("db.sock", "ovs-vswitchd.pid", "ovs-vswitchd.ctl")

Passes = Callable[[BridgeId, Message], bool]


def everything(_: BridgeId, __: Message) -> bool:
    return True


class Wire:
    """``down`` and ``up`` say which messages get through to a VFD, and from it to the controller."""

    def __init__(self, lab: Lab, place: Path, *, down: Passes = everything, up: Passes = everything) -> None:
        self._down = down
        self._up = up
        self._sockets: list[socket.socket] = []
        self.servers = sorted({server for server, _ in vfds(lab)})
        self.place = place
        for server in self.servers:
            (place / server).mkdir(parents=True)
            for name in SHARED_FILES:
                (place / server / name).symlink_to(lab.directory / server / name)
        for server, bridge in vfds(lab):
            self._listen(BridgeId(server, bridge), lab.directory / server / f"{bridge}.mgmt")

    @property
    def ovsdb(self) -> tuple[str, ...]:
        """The servers behind the wire, as an inventory names them."""
        return tuple(f"unix:{self.place / server / 'db.sock'}" for server in self.servers)

    def close(self) -> None:
        """Hang up on everybody."""
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self, bridge: BridgeId, switch: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.place / bridge.node / f"{bridge.name}.mgmt"))
        listener.listen()
        self._sockets.append(listener)
        _aside(self._accept, listener, bridge, switch)

    def _accept(self, listener: socket.socket, bridge: BridgeId, switch: Path) -> None:
        while True:
            controller, _ = listener.accept()
            toward = socket.socket(socket.AF_UNIX)
            self._sockets += [controller, toward]
            toward.connect(str(switch))
            _aside(self._pass, controller, toward, bridge, self._down)
            _aside(self._pass, toward, controller, bridge, self._up)

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, bridge: BridgeId, passes: Passes) -> None:
        rest = b""
        while chunk := source.recv(RECEIVE_SIZE):
            found, rest = messages(rest + chunk)
            for received in found:  # one by one: when a message makes somebody act, those before it are through
                if passes(bridge, received):
                    target.sendall(_bytes(received))
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _bytes(received: Message) -> bytes:
    length = 8 + len(received.body)
    return struct.pack("!BBHI", received.version, received.type, length, received.xid) + received.body


def _aside(work: Callable[..., None], *arguments: object) -> None:
    def carry_out() -> None:
        with suppress(OSError):  # somebody hung up
            work(*arguments)

    threading.Thread(target=carry_out, daemon=True).start()
