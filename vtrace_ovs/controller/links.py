"""Keeps one OpenFlow conversation per VFD of the inventory: dials local bridges, waits for remote ones to dial us."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.controller.connection import Connection
from vtrace_ovs.controller.seam import hub
from vtrace_ovs.errors import CodecError, OpenFlowError
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, Topology
from vtrace_ovs.session.boundary import LivenessProbe
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import BridgeDown, Event

REDIAL_INTERVAL = 0.25
GREETING_DEADLINE = 2.0


@dataclass(slots=True)
class Link:
    """One conversation and the connection it runs over. ``since`` is when it began (monotonic seconds)."""

    conversation: BridgeLink
    connection: Connection
    since: float


class Links:
    """All conversations. ``report`` takes session events, in order per bridge."""

    def __init__(self, controller_id: int, report: Callable[[Event], None], probe: LivenessProbe) -> None:
        self._controller_id = controller_id
        self._probe = probe
        self._report = report
        self._bridges: dict[BridgeId, Bridge] = {}
        self._links: dict[BridgeId, Link] = {}
        self._reported_down: set[BridgeId] = set()
        self._open = True
        self._dialer: Any = None

    def start(self) -> None:
        """Start the hub thread that dials."""
        self._dialer = hub.spawn(self._keep_dialing)

    def adopt(self, topology: Topology) -> None:
        """Hold conversations with these VFDs, and with no others."""
        self._bridges = {bridge.id: bridge for bridge in topology.vfds()}
        for bridge_id in tuple(self._links):
            if bridge_id not in self._bridges:
                self._links.pop(bridge_id).connection.close()
        self._dial_missing()

    def read(self, bridge_id: BridgeId) -> None:
        """Carry out ``ReadBridge``."""
        link = self._attached(bridge_id)
        if link is not None:
            link.conversation.read()

    def program(self, command: Program) -> None:
        """Carry out ``Program``."""
        link = self._attached(command.bridge)
        if link is not None:
            link.conversation.program(command)

    def close(self) -> None:
        """End every conversation."""
        self._open = False
        for link in self._links.values():
            link.connection.close()
        self._links.clear()

    def _attached(self, bridge_id: BridgeId) -> Link | None:
        link = self._links.get(bridge_id)
        if link is None or not link.conversation.attached:
            self._report(BridgeDown(time(), bridge_id, f"{bridge_id} is not connected over OpenFlow"))
            return None
        return link

    def _keep_dialing(self) -> None:
        while self._open:
            hub.sleep(REDIAL_INTERVAL)
            self._give_up_on_the_silent()
            self._dial_missing()

    def _give_up_on_the_silent(self) -> None:
        for bridge_id, link in tuple(self._links.items()):
            if not link.conversation.attached and monotonic() - link.since > GREETING_DEADLINE:
                link.connection.close()
                self._lost(bridge_id, link, "ovs-vswitchd accepts the connection but does not answer: it hangs")

    def _dial_missing(self) -> None:
        for bridge in tuple(self._bridges.values()):
            if self._open and bridge.id not in self._links and isinstance(bridge.attachment, ManagementSocket):
                self._dial(bridge, bridge.attachment.path)

    def _dial(self, bridge: Bridge, path: str) -> None:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            self._down(bridge.id, self._probe(bridge) or f"{bridge.id}: {path} was refused")
            return
        self.converse(bridge.id, sock)

    def converse(self, bridge_id: BridgeId, sock: socket.socket) -> None:
        """Hold the conversation with a bridge over this socket."""
        connection = Connection(
            sock, lambda received: self._received(link, received), lambda why: self._lost(bridge_id, link, why)
        )
        conversation = BridgeLink(bridge_id, self._controller_id, connection.send, self._report)
        link = Link(conversation, connection, monotonic())
        self._links[bridge_id] = link
        connection.start()
        conversation.begin()

    def _received(self, link: Link, received: tuple[Message, ...]) -> None:
        try:
            for message in received:
                link.conversation.message(message)
        except (OpenFlowError, CodecError) as error:
            link.connection.close()
            self._lost(link.conversation.bridge, link, str(error))
        else:
            if link.conversation.attached:
                self._reported_down.discard(link.conversation.bridge)

    def _lost(self, bridge_id: BridgeId, link: Link, reason: str) -> None:
        if self._links.get(bridge_id) is not link:
            return
        del self._links[bridge_id]
        bridge = self._bridges.get(bridge_id)
        if bridge is not None and link.conversation.attached:
            reason = self._probe(bridge) or f"{bridge_id}: {reason}"
        self._down(bridge_id, reason)

    def _down(self, bridge_id: BridgeId, reason: str) -> None:
        if self._open and bridge_id not in self._reported_down:
            self._reported_down.add(bridge_id)
            self._report(BridgeDown(time(), bridge_id, reason))
