"""Turns bridges that may carry something of ours into bridges that provably do not: by cookie, and known meters.

Used by ``vtrace clean``, before a controller starts over what a crash left, and after one that could not end its tasks.
Blocking: runs where no hub does.
"""

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from vtrace_ovs.codecs.framing import messages
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.errors import OpenFlowError
from vtrace_ovs.instrumentation.changes import wipe
from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import BridgeRead, BridgeUp, Event, Programmed

RECEIVE_SIZE = 1 << 18

Awaited = TypeVar("Awaited", BridgeUp, BridgeRead, Programmed)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was found and removed on one bridge. ``problem`` says why it could not be cleaned, if so."""

    bridge: BridgeId
    flows: int = 0
    meters: int = 0
    problem: str | None = None


class _Dialogue:
    """A BridgeLink over a blocking socket, pumped until an awaited event comes."""

    def __init__(self, bridge: Bridge, path: str, controller_id: int, timeout: float) -> None:
        self._deadline = monotonic() + timeout
        self._events: list[Event] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._pending = b""
        self.link = BridgeLink(bridge.id, controller_id, self._socket.sendall, self._events.append)
        self.link.begin()

    def wait_for(self, kind: type[Awaited]) -> Awaited:
        """The next event of this kind. Raises OpenFlowError when it does not come in time."""
        while (found := next((event for event in self._events if isinstance(event, kind)), None)) is None:
            if monotonic() > self._deadline:
                raise OpenFlowError(f"{self.link.bridge} does not answer; ovs-vswitchd may hang")
            chunk = self._socket.recv(RECEIVE_SIZE)
            if not chunk:
                raise OpenFlowError(f"{self.link.bridge} closed the connection")
            received, self._pending = messages(self._pending + chunk)
            for message in received:
                self.link.message(message)
        self._events.remove(found)
        return found

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


def clean_bridge(bridge: Bridge, meter_ids: Iterable[int], controller_id: int, timeout: float) -> Cleaned:
    """Remove everything of ours from one bridge and look again. Never raises: a dead bridge is a problem to report."""
    if not isinstance(bridge.attachment, ManagementSocket):
        return Cleaned(bridge.id, problem=f"{bridge.id} is remote; run `vtrace clean` on {bridge.id.node}")
    try:
        with contextlib.closing(_Dialogue(bridge, bridge.attachment.path, controller_id, timeout)) as dialogue:
            return _clean(bridge, meter_ids, dialogue)
    except (OSError, OpenFlowError) as error:
        return Cleaned(bridge.id, problem=f"{bridge.id}: {error}")


def _clean(bridge: Bridge, meter_ids: Iterable[int], dialogue: _Dialogue) -> Cleaned:
    dialogue.wait_for(BridgeUp)
    before = _read(dialogue)
    flows = sum(is_ours(flow.cookie) for flow in before.tables.flows)
    present = {meter.meter_id for meter in before.tables.meters}
    meters = tuple(meter_id for meter_id in meter_ids if meter_id in present)
    if not flows and not meters:
        return Cleaned(bridge.id)
    steps = wipe(meters)
    dialogue.link.program(Program(bridge.id, 0, (steps.sources_delete, steps.sinks_delete, *steps.meters_delete)))
    errors = dialogue.wait_for(Programmed).errors
    left = sum(is_ours(flow.cookie) for flow in _read(dialogue).tables.flows)
    problem = f"{bridge.id}: {left} flows of ours are still there; {'; '.join(errors)}" if left or errors else None
    return Cleaned(bridge.id, flows - left, len(meters), problem)


def _read(dialogue: _Dialogue) -> BridgeRead:
    dialogue.link.read()
    return dialogue.wait_for(BridgeRead)
