"""Turns a step of a trace into a moment a test can act at: every OpenFlow message to a VFD passes a gate that can shut.

The gate stands on the wire between controller and switches, and passes on what comes until a message is due at which
the test wants to act. From then on nothing gets through to any switch.
"""

import struct
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from openflow_wire import Wire

from vtrace_ovs.codecs.framing import Message, MessageType
from vtrace_ovs.instrumentation.cookies import colors
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.topology import BridgeId

ADD, MODIFY = 0, 1
COMMAND_AT = 17


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


class Gate(Wire):
    """Open until ``due(history, what)``: what got through so far, and what wants to. ``shut`` is set then."""

    def __init__(self, lab: Lab, place: Path, due: Callable[[list[Sent], Sent], bool]) -> None:
        self.shut = threading.Event()
        self._due = due
        self._history: list[Sent] = []
        self._lock = threading.Lock()
        super().__init__(lab, place, down=self._lets)

    def _lets(self, _: BridgeId, message: Message) -> bool:
        what = sent(message)
        with self._lock:
            if not self.shut.is_set() and self._due(self._history, what):
                self.shut.set()
            if not self.shut.is_set():
                self._history.append(what)
            return not self.shut.is_set()
