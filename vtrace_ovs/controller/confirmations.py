"""Turns "the bridges confirmed a batch" into "their server's datapath follows": one wait for each server."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import time

from vtrace_ovs.controller.settling import Settler
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import Programmed


@dataclass(slots=True)
class Awaited:
    """The programs of one batch on one server: who has not confirmed, who has, and what to touch then."""

    bridges: set[BridgeId] = field(default_factory=set)
    confirmed: list[Programmed] = field(default_factory=list)
    touch: tuple[BridgeId, FlowMod] | None = None


class Confirmations:
    """Programs with a flow to touch. ``send`` sends that again, ``report`` gets confirmations, both on any hub thread.

    Bridges of one server share its ovs-vswitchd, so one wait serves them all.
    """

    def __init__(
        self,
        settler: Settler,
        bridge_named: Callable[[BridgeId], Bridge | None],
        send: Callable[[BridgeId, FlowMod], None],
        report: Callable[[Programmed], None],
    ) -> None:
        self._settler = settler
        self._bridge_named = bridge_named
        self._send = send
        self._report = report
        self._awaited: dict[tuple[str, int], Awaited] = {}
        self._lock = threading.Lock()

    def expect(self, command: Program) -> None:
        """This program is about to be sent."""
        if command.touch is None:
            return
        with self._lock:
            awaited = self._awaited.setdefault((command.bridge.node, command.batch), Awaited())
            awaited.bridges.add(command.bridge)
            awaited.touch = command.bridge, command.touch

    def confirmed(self, event: Programmed) -> None:
        """A bridge's barrier came back."""
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

    def lost(self, bridge_id: BridgeId) -> None:
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

    def _settle(self, awaited: Awaited) -> None:
        touch, confirmed = awaited.touch, tuple(awaited.confirmed)
        bridge = None if touch is None else self._bridge_named(touch[0])

        def done() -> None:
            for event in confirmed:
                self._report(replace(event, at=time()))

        if touch is None or bridge is None:
            done()
        else:
            self._settler.settle(bridge, lambda: self._send(*touch), done)
