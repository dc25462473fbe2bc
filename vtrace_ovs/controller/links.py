"""Keeps one OpenFlow conversation per bridge the session wants: dials local bridges, has remote ones dial us.

Nobody else is connected, and nothing of ours is in the OVSDB of other remote bridges (design D1). Hub threads are
native threads under os-ken, so what they share is changed under a lock, and nothing is reported or sent under it.
"""

import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.controller.confirmations import Confirmations
from vtrace_ovs.controller.connection import Connection
from vtrace_ovs.controller.crowd import Crowd
from vtrace_ovs.controller.invitations import Declined, Invitations
from vtrace_ovs.controller.mailbox import Mailbox
from vtrace_ovs.controller.reception import Reception
from vtrace_ovs.controller.seam import hub
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.controller.settling import Settler
from vtrace_ovs.errors import CodecError, OpenFlowError, VtraceError
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, ServiceController, Topology
from vtrace_ovs.session.commands import Program, WatchFlows
from vtrace_ovs.session.events import BridgeDown, CopiesCrowded, Event, Programmed

REDIAL_INTERVAL = 0.25
GREETING_DEADLINE = 2.0
MOST_GREETINGS = 64
"""So many local bridges are greeted at a time: of a thousand, each is to have its time to answer."""


@dataclass(slots=True, eq=False)
class Link:
    """One conversation and the connection it runs over. ``since`` is when it began (monotonic seconds)."""

    conversation: BridgeLink
    connection: Connection
    since: float
    crowd: Crowd


class Links:
    """All conversations. ``report`` takes session events, in order per bridge; ``failed`` what ends the controller."""

    def __init__(
        self,
        settings: ControllerSettings,
        surroundings: Surroundings,
        report: Callable[[Event], None],
        failed: Callable[[VtraceError], None],
    ) -> None:
        self._settings = settings.instrumentation
        self._probe = surroundings.probe
        self._report = report
        self._dials: Mailbox[None] = Mailbox(lambda _: self._dial_missing())
        self._confirmations = Confirmations(Settler(surroundings.wait_rounds), self._named, self._touch, report)
        self._declines: Mailbox[Declined] = Mailbox(self._declined)
        self._invitations = Invitations(
            surroundings.store, surroundings.remote, surroundings.probe, self._declines.post, failed
        )
        self._reception = Reception(settings.listen, self._invitations, self._arrived)
        self._topology = Topology()
        self._bridges: dict[BridgeId, Bridge] = {}
        self._wanted: set[BridgeId] = set()
        self._links: dict[BridgeId, Link] = {}
        self._callers: set[Link] = set()
        self._dialing: set[BridgeId] = set()
        self._greeting: set[BridgeId] = set()
        self._dialed_at: dict[BridgeId, float] = {}
        self._undialed = False
        self._reported_down: dict[BridgeId, str] = {}
        self._task: int | None = None
        self._open = True
        self._lock = threading.RLock()
        self._dialer: Any = None

    def start(self) -> None:
        """Start the hub thread that dials, and the native one that invites."""
        self._dials.start()
        self._declines.start()
        self._invitations.start()
        self._dialer = hub.spawn(self._keep_dialing)

    def adopt(self, topology: Topology) -> None:
        """These are the VFDs there are; conversations with others end."""
        with self._lock:
            self._topology = topology
            self._bridges = {bridge.id: bridge for bridge in topology.vfds()}
            gone = [self._links.pop(bridge_id) for bridge_id in tuple(self._links) if bridge_id not in self._bridges]
            self._greeting.intersection_update(self._bridges)
        for link in gone:
            link.connection.close()
        self._dials.post(None)
        self._invite()

    def connect(self, bridges: Collection[BridgeId], task_id: int | None) -> None:
        """Carry out ``Connect``, on behalf of a task: any one that runs, None when none does."""
        with self._lock:
            self._task = self._task if task_id is None else task_id
            self._wanted.update(bridges)
        self._dials.post(None)
        if self._remote(bridges):
            self._invite()

    def hang_up(self, bridges: Collection[BridgeId]) -> None:
        """Carry out ``HangUp``."""
        with self._lock:
            self._wanted.difference_update(bridges)
            self._greeting.difference_update(bridges)
            links = [self._links.pop(bridge_id) for bridge_id in bridges if bridge_id in self._links]
        for link in links:
            link.connection.close()
        for bridge_id in bridges:
            self._reported_down.pop(bridge_id, None)
            self._confirmations.lost(bridge_id)
        if self._remote(bridges):
            self._invite()

    def read(self, bridge_id: BridgeId) -> None:
        """Carry out ``ReadBridge``."""
        link = self._attached(bridge_id)
        if link is not None:
            link.conversation.read()

    def read_counters(self, bridge_id: BridgeId) -> None:
        """Carry out ``ReadCounters``."""
        link = self._attached(bridge_id)
        if link is not None:
            link.conversation.read_counters()

    def program(self, command: Program) -> None:
        """Carry out ``Program``."""
        link = self._attached(command.bridge)
        if link is not None:
            self._confirmations.expect(command)
            if command.burst is not None:
                link.crowd.expect(min(command.burst, self._settings.most_burst))
            link.conversation.program(command)

    def watch(self, command: WatchFlows) -> None:
        """Carry out ``WatchFlows``; who is not connected is watched when it is programmed again."""
        link = self._links.get(command.bridge)
        if link is not None and link.conversation.attached:
            link.conversation.watch(command.watches)

    def _told(self, event: Event) -> None:
        """Pass an event on; programs with a flow to touch are confirmed when the server's datapath follows."""
        if isinstance(event, Programmed):
            self._confirmations.confirmed(event)
        else:
            self._report(event)

    def _named(self, bridge_id: BridgeId) -> Bridge | None:
        return self._bridges.get(bridge_id)

    def _touch(self, bridge_id: BridgeId, flow: FlowMod) -> None:
        link = self._links.get(bridge_id)
        if link is not None and link.conversation.attached:
            link.conversation.touch(flow)

    def close(self) -> None:
        """End every conversation, and take every invitation back."""
        with self._lock:
            self._open = False
            ended = (*self._links.values(), *self._callers)
            self._links.clear()
        for link in ended:
            link.connection.close()
        self._reception.close()
        self._declines.close()
        self._dials.close()

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
            self._reception.ask_after_the_missing()
            self._dial_missing()

    def _give_up_on_the_silent(self) -> None:
        with self._lock:
            links = (*self._links.values(), *self._callers)
        for link in links:
            if not link.conversation.attached and monotonic() - link.since > GREETING_DEADLINE:
                link.connection.close()
                self._lost(link, "ovs-vswitchd accepts the connection but does not answer: it hangs")

    def _dial_missing(self) -> None:
        """Dial local bridges that are wanted and not connected, those first that were not dialled for longest."""
        with self._lock:
            busy = {*self._links, *self._dialing}
            missing = [
                (bridge, bridge.attachment.path)
                for bridge_id in self._wanted
                if self._open and bridge_id not in busy and (bridge := self._bridges.get(bridge_id)) is not None
                if isinstance(bridge.attachment, ManagementSocket)
            ]
            missing.sort(key=lambda one: self._dialed_at.get(one[0].id, 0.0))
            self._undialed = False
            self._dialing.update(bridge.id for bridge, _ in missing)
        for bridge, path in missing:
            if len(self._greeting) >= MOST_GREETINGS:
                self._undialed = True
            elif (obstacle := attach_obstacle(self._topology, bridge)) is None:
                self._dial(bridge, path)
            else:
                self._down(bridge.id, obstacle)
            self._dialing.discard(bridge.id)

    def _dial(self, bridge: Bridge, path: str) -> None:
        self._dialed_at[bridge.id] = monotonic()
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)  # of a vswitchd that hangs for long, the queue of callers is full
        try:
            sock.connect(path)
            sock.setblocking(True)
        except OSError:
            sock.close()
            self._down(bridge.id, self._probe(bridge) or f"{bridge.id}: {path} was refused")
            return
        link = self._link(bridge.id, sock, None)
        with self._lock:
            if self._open and bridge.id in self._wanted:
                self._greeting.add(bridge.id)
                self._links[bridge.id] = link
            else:
                link.connection.close()
        self._begin(link)

    def _remote(self, bridges: Collection[BridgeId]) -> list[Bridge]:
        found = [self._bridges[bridge_id] for bridge_id in sorted(bridges) if bridge_id in self._bridges]
        return [bridge for bridge in found if isinstance(bridge.attachment, ServiceController)]

    def _invite(self) -> None:
        """Have the remote bridges that are wanted dial us, and no others."""
        with self._lock:
            remote = self._remote(self._wanted)
        if not remote or self._task is None:
            self._reception.release()
            return
        problems = {bridge.id: attach_obstacle(self._topology, bridge) for bridge in remote}
        usable = [bridge for bridge in remote if problems[bridge.id] is None]
        for bridge_id, problem in (problems | self._reception.expect(self._task, usable)).items():
            if problem is not None:
                self._down(bridge_id, problem)

    def _arrived(self, sock: socket.socket) -> None:
        """Somebody dials us: one of the expected bridges, once its dpid says so."""
        link = self._link(BridgeId("remote", str(sock.getpeername()[0])), sock, lambda dpid: self._met(link, dpid))
        with self._lock:
            self._callers.add(link)
            if not self._open:
                link.connection.close()
        self._begin(link)

    def _met(self, link: Link, dpid: int) -> BridgeId:
        bridge_id = self._reception.bridge_of(dpid)
        with self._lock:
            self._callers.discard(link)
            before = self._links.get(bridge_id)
            if bridge_id not in self._wanted:
                raise OpenFlowError(f"{bridge_id} was expected a moment ago")
            self._links[bridge_id] = link
        if before is not None:
            before.connection.close()
            self._report(BridgeDown(time(), bridge_id, f"{bridge_id} has dialled us again"))
        return bridge_id

    def _declined(self, declined: Declined) -> None:
        if declined.bridge not in self._links:
            self._down(declined.bridge, declined.reason)

    def _link(self, name: BridgeId, sock: socket.socket, identify: Callable[[int], BridgeId] | None) -> Link:
        connection = Connection(
            sock, lambda received: self._received(link, received), lambda why: self._lost(link, why)
        )
        settings = self._settings
        conversation = BridgeLink(name, settings.controller_id, connection.send, self._told, identify)
        link = Link(conversation, connection, monotonic(), Crowd(settings.log_rate, settings.most_burst))
        return link

    def _begin(self, link: Link) -> None:
        """Queue our HELLO before anything of the bridge's is read: an answer that overtakes it ends the connection."""
        link.conversation.begin()
        link.connection.start()

    def _received(self, link: Link, received: tuple[Message, ...]) -> None:
        if link.crowd.grows(sum(map(openflow.is_packet_in, received)), monotonic()):
            self._report(CopiesCrowded(time(), link.conversation.bridge))
            hub.sleep(0)  # the session ends coloring now: the copies take longer to look at than that
        try:
            for message in received:
                link.conversation.message(message)
        except (OpenFlowError, CodecError) as error:
            link.connection.close()
            self._lost(link, str(error))
        else:
            if link.conversation.attached:
                self._greeted(link.conversation.bridge)

    def _greeted(self, bridge_id: BridgeId) -> None:
        self._reported_down.pop(bridge_id, None)
        self._greeting.discard(bridge_id)
        if self._undialed and len(self._greeting) <= MOST_GREETINGS // 2:
            self._dial_missing()

    def _lost(self, link: Link, reason: str) -> None:
        bridge_id = link.conversation.bridge
        with self._lock:
            self._greeting.discard(bridge_id)
            self._callers.discard(link)
            if self._links.get(bridge_id) is not link:
                return
            del self._links[bridge_id]
            bridge = self._bridges.get(bridge_id)
        if link.conversation.attached:
            local = bridge is not None and isinstance(bridge.attachment, ManagementSocket)
            reason = (self._probe(bridge) if local and bridge is not None else None) or reason
        self._down(bridge_id, reason if str(bridge_id) in reason else f"{bridge_id}: {reason}")
        self._confirmations.lost(bridge_id)

    def _down(self, bridge_id: BridgeId, reason: str) -> None:
        if self._open and bridge_id in self._wanted and self._reported_down.get(bridge_id) != reason:
            self._reported_down[bridge_id] = reason
            self._report(BridgeDown(time(), bridge_id, reason))
