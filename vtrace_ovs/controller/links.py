"""Keeps one OpenFlow conversation per VFD of the inventory: dials local bridges, has remote ones dial us.

Remote bridges are connected only while tasks run: nothing of ours is in their OVSDB otherwise (design D1). Hub threads
are native threads under os-ken, so what they share is changed under a lock, and nothing is reported or sent under it.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

from vtrace_ovs.codecs import openflow
from vtrace_ovs.codecs.framing import Message
from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle
from vtrace_ovs.controller.bridge_link import BridgeLink
from vtrace_ovs.controller.connection import Connection
from vtrace_ovs.controller.crowd import Crowd
from vtrace_ovs.controller.invitations import Declined, Invitations
from vtrace_ovs.controller.mailbox import Mailbox
from vtrace_ovs.controller.reception import Reception
from vtrace_ovs.controller.seam import hub
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.controller.settling import Settler
from vtrace_ovs.errors import CodecError, OpenFlowError, VtraceError
from vtrace_ovs.model.topology import Bridge, BridgeId, ManagementSocket, ServiceController, Topology
from vtrace_ovs.session.commands import UNAWAITED, Program, WatchFlows
from vtrace_ovs.session.events import BridgeDown, BridgeReleased, CopiesCrowded, Event, Programmed

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


@dataclass(slots=True)
class Awaited:
    """The programs of one batch on one server: who has not confirmed, who has, and what to touch then."""

    bridges: set[BridgeId] = field(default_factory=set)
    confirmed: list[Programmed] = field(default_factory=list)
    touch: Program | None = None


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
        self._calls: Mailbox[Callable[[], None]] = Mailbox(lambda call: call())
        self._settler = Settler(surroundings.wait_round, self._calls.post)
        self._awaited: dict[tuple[str, int], Awaited] = {}
        self._declines: Mailbox[Declined] = Mailbox(self._declined)
        self._invitations = Invitations(
            surroundings.store, surroundings.remote, surroundings.probe, self._declines.post, failed
        )
        self._reception = Reception(settings.listen, self._invitations, self._arrived)
        self._topology = Topology()
        self._bridges: dict[BridgeId, Bridge] = {}
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
        self._calls.start()
        self._declines.start()
        self._invitations.start()
        self._dialer = hub.spawn(self._keep_dialing)

    def adopt(self, topology: Topology) -> None:
        """Hold conversations with these VFDs, and with no others."""
        with self._lock:
            self._topology = topology
            self._bridges = {bridge.id: bridge for bridge in topology.vfds()}
            gone = [self._links.pop(bridge_id) for bridge_id in tuple(self._links) if bridge_id not in self._bridges]
            self._greeting.intersection_update(self._bridges)
        for link in gone:
            link.connection.close()
        self._dial_missing()
        self._invite()

    def serve(self, task_id: int | None) -> None:
        """Have remote bridges dial us as long as a task runs (any one of them is named), and let go of them after."""
        before, self._task = self._task, task_id
        if task_id is not None and before is None:
            self._invite()
        elif task_id is None and before is not None:
            self._release()

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
            if command.touch is not None:
                awaited = self._awaited.setdefault((command.bridge.node, command.batch), Awaited())
                awaited.bridges.add(command.bridge)
                awaited.touch = Program(command.bridge, UNAWAITED, (command.touch,))
            link.conversation.program(command)

    def watch(self, command: WatchFlows) -> None:
        """Carry out ``WatchFlows``; who is not connected is watched when it is programmed again."""
        link = self._links.get(command.bridge)
        if link is not None and link.conversation.attached:
            link.conversation.watch(command.watches)

    def _told(self, event: Event) -> None:
        """Pass an event on; programs with a flow to touch are confirmed when the server's datapath follows."""
        if not isinstance(event, Programmed):
            self._report(event)
            return
        place = (event.bridge.node, event.batch)
        with self._lock:
            awaited = self._awaited.get(place)
            if awaited is None or event.bridge not in awaited.bridges:
                awaited = None
            else:
                awaited.confirmed.append(event)
                awaited.bridges.discard(event.bridge)
                if awaited.bridges:
                    return
                del self._awaited[place]
        if awaited is None:
            self._report(event)
        else:
            self._settle(awaited)

    def _settle(self, awaited: Awaited) -> None:
        """One wait serves all bridges of a server: they share its ovs-vswitchd."""
        touch, confirmed = awaited.touch, tuple(awaited.confirmed)
        bridge = None if touch is None else self._bridges.get(touch.bridge)

        def done() -> None:
            for event in confirmed:
                self._report(replace(event, at=time()))

        if touch is None or bridge is None:
            done()
        else:
            self._settler.settle(bridge, lambda: self._touch(touch), done)

    def _forget_awaited(self, bridge_id: BridgeId) -> None:
        """A bridge that is gone confirms nothing; the others of its server need not wait for it."""
        with self._lock:
            ready = []
            for place, awaited in tuple(self._awaited.items()):
                if bridge_id in awaited.bridges:
                    awaited.bridges.discard(bridge_id)
                    if not awaited.bridges:
                        ready.append(self._awaited.pop(place))
        for awaited in ready:
            self._settle(awaited)

    def _touch(self, again: Program) -> None:
        link = self._links.get(again.bridge)
        if link is not None and link.conversation.attached:
            link.conversation.program(again)

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
        self._calls.close()

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
        """Dial local bridges that are not connected, those first that were not dialled for longest."""
        with self._lock:
            busy = {*self._links, *self._dialing}
            missing = [
                (bridge, bridge.attachment.path)
                for bridge in self._bridges.values()
                if self._open and bridge.id not in busy and isinstance(bridge.attachment, ManagementSocket)
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
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            self._down(bridge.id, self._probe(bridge) or f"{bridge.id}: {path} was refused")
            return
        link = self._link(bridge.id, sock, None)
        with self._lock:
            if self._open:
                self._greeting.add(bridge.id)
                self._links[bridge.id] = link
            else:
                link.connection.close()
        self._begin(link)

    def _invite(self) -> None:
        remote = [bridge for bridge in self._bridges.values() if isinstance(bridge.attachment, ServiceController)]
        if self._task is None or not remote:
            return
        problems = {bridge.id: attach_obstacle(self._topology, bridge) for bridge in remote}
        usable = [bridge for bridge in remote if problems[bridge.id] is None]
        for bridge_id, problem in (problems | self._reception.expect(self._task, usable)).items():
            if problem is not None:
                self._down(bridge_id, problem)

    def _release(self) -> None:
        """Let go of remote bridges: hang up first, so that none reports a loss that is no loss."""
        remote = [bridge.id for bridge in self._bridges.values() if isinstance(bridge.attachment, ServiceController)]
        with self._lock:
            links = [self._links.pop(bridge_id) for bridge_id in remote if bridge_id in self._links]
        for link in links:
            link.connection.close()
        if remote:
            self._reception.release()
        for bridge_id in remote:
            self._reported_down.pop(bridge_id, None)
            self._report(BridgeReleased(time(), bridge_id))

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
            self._links[bridge_id] = link
        if before is not None:
            before.connection.close()
            self._report(BridgeDown(time(), bridge_id, f"{bridge_id} has dialled us again"))
        return bridge_id

    def _declined(self, declined: Declined) -> None:
        if declined.bridge not in self._links and self._task is not None:
            self._down(declined.bridge, declined.reason)

    def _link(self, name: BridgeId, sock: socket.socket, identify: Callable[[int], BridgeId] | None) -> Link:
        connection = Connection(
            sock, lambda received: self._received(link, received), lambda why: self._lost(link, why)
        )
        settings = self._settings
        conversation = BridgeLink(name, settings.controller_id, connection.send, self._told, identify)
        link = Link(conversation, connection, monotonic(), Crowd(settings.log_rate, settings.most_burst / 2))
        return link

    def _begin(self, link: Link) -> None:
        """Queue our HELLO before anything of the bridge's is read: an answer that overtakes it ends the connection."""
        link.conversation.begin()
        link.connection.start()

    def _received(self, link: Link, received: tuple[Message, ...]) -> None:
        if link.crowd.grows(sum(map(openflow.is_packet_in, received)), monotonic()):
            self._report(CopiesCrowded(time(), link.conversation.bridge))
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
        self._forget_awaited(bridge_id)

    def _down(self, bridge_id: BridgeId, reason: str) -> None:
        if self._open and self._reported_down.get(bridge_id) != reason:
            self._reported_down[bridge_id] = reason
            self._report(BridgeDown(time(), bridge_id, reason))
