"""Turns a step of a trace into a moment a test can act at: every OpenFlow message to a VFD passes a gate that can shut.

The gate stands between controller and switches, where the wire is: directories that look like the servers' own, with
their OVSDB sockets, and management sockets that pass on what comes, message by message, until one is due at which the
test wants to act. From then on nothing gets through to any switch.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

from vtrace_program import vfds

from vtrace_ovs.codecs.framing import Message, MessageType, messages
from vtrace_ovs.instrumentation.cookies import colors
from vtrace_ovs.lab.network import Lab

ADD, MODIFY = 0, 1
COMMAND_AT = 17
RECEIVE_SIZE = 1 << 16
GATED_FILES = ("db.sock", "ovs-vswitchd.pid", "ovs-vswitchd.ctl")


class Sent(Enum):
    """What a message does to a switch, as far as a trace is concerned."""

    METER_IN = "meter in"
    SINK_IN = "sink in"
    SOURCE_IN = "source in"
    SOURCE_OUT = "source out"
    SINK_OUT = "sink out"
    METER_OUT = "meter out"
    BARRIER = "barrier"
    OTHER = "other"


def sent(received: Message) -> Sent:
    """What this message does (OpenFlow 1.3.5 §7.3.4.1, §7.3.4.5)."""
    if received.type == MessageType.METER_MOD:
        (command,) = struct.unpack_from("!H", received.body)
        return Sent.METER_IN if command in (ADD, MODIFY) else Sent.METER_OUT
    if received.type == MessageType.FLOW_MOD:
        (cookie,) = struct.unpack_from("!Q", received.body)
        adds = received.body[COMMAND_AT] in (ADD, MODIFY)
        if colors(cookie):
            return Sent.SOURCE_IN if adds else Sent.SOURCE_OUT
        return Sent.SINK_IN if adds else Sent.SINK_OUT
    return Sent.BARRIER if received.type == MessageType.BARRIER_REQUEST else Sent.OTHER


class Gate:
    """Open until ``due(history, what)``: what got through so far, and what wants to. ``shut`` is set then."""

    def __init__(self, lab: Lab, place: Path, due: Callable[[list[Sent], Sent], bool]) -> None:
        self.shut = threading.Event()
        self._due = due
        self._history: list[Sent] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.servers = sorted({server for server, _ in vfds(lab)})
        self.place = place
        for server in self.servers:
            (place / server).mkdir(parents=True)
            for name in GATED_FILES:
                (place / server / name).symlink_to(lab.directory / server / name)
        for server, bridge in vfds(lab):
            self._listen(place / server / f"{bridge}.mgmt", lab.directory / server / f"{bridge}.mgmt")

    @property
    def ovsdb(self) -> str:
        """The servers behind the gate, as ``VTRACE_OVSDB`` names them."""
        return ",".join(f"unix:{self.place / server / 'db.sock'}" for server in self.servers)

    def close(self) -> None:
        """Hang up on everybody."""
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self, here: Path, switch: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(here))
        listener.listen()
        self._sockets.append(listener)
        self._aside(self._accept, listener, switch)

    def _accept(self, listener: socket.socket, switch: Path) -> None:
        while True:
            controller, _ = listener.accept()
            toward = socket.socket(socket.AF_UNIX)
            self._sockets += [controller, toward]
            toward.connect(str(switch))
            self._aside(self._pass, controller, toward)
            self._aside(self._answer, toward, controller)

    def _pass(self, controller: socket.socket, switch: socket.socket) -> None:
        rest = b""
        while chunk := controller.recv(RECEIVE_SIZE):
            found, rest = messages(rest + chunk)
            for received in found:
                if self._lets(sent(received)):
                    switch.sendall(
                        struct.pack("!BBHI", received.version, received.type, 8 + len(received.body), received.xid)
                        + received.body
                    )
        switch.shutdown(socket.SHUT_WR)

    def _lets(self, what: Sent) -> bool:
        with self._lock:
            if not self.shut.is_set() and self._due(self._history, what):
                self.shut.set()
            if not self.shut.is_set():
                self._history.append(what)
            return not self.shut.is_set()

    @staticmethod
    def _answer(switch: socket.socket, controller: socket.socket) -> None:
        while chunk := switch.recv(RECEIVE_SIZE):
            controller.sendall(chunk)

    @staticmethod
    def _aside(work: Callable[..., None], *arguments: object) -> None:
        def carry_out() -> None:
            with suppress(OSError):  # somebody hung up
                work(*arguments)

        threading.Thread(target=carry_out, daemon=True).start()
