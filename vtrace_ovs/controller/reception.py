"""Turns remote bridges that tasks need into bridges that dial us: listens, invites, tells them apart, and lets go.

Hub side; what blocks is done by ``invitations``. The address is opened when the first task needs a remote bridge.
"""

import socket
from collections.abc import Callable, Sequence
from time import monotonic

from vtrace_ovs.controller.invitations import Invitations
from vtrace_ovs.controller.listener import Listener
from vtrace_ovs.controller.service_address import NO_ADDRESS, ServiceAddress
from vtrace_ovs.errors import InfrastructureError, OpenFlowError
from vtrace_ovs.model.topology import Bridge, BridgeId

# ovs-vswitchd dials as soon as it sees the row, and again after at most a second.
DIAL_DEADLINE = 3.0


class Reception:
    """Which remote bridges are expected. ``arrived`` gets the socket of whoever dials us."""

    def __init__(
        self, address: ServiceAddress | None, invitations: Invitations, arrived: Callable[[socket.socket], None]
    ) -> None:
        self._address = address
        self._invitations = invitations
        self._arrived = arrived
        self._listener: Listener | None = None
        self._expected: dict[int, tuple[Bridge, ...]] = {}
        self._awaited: dict[BridgeId, tuple[Bridge, float]] = {}

    def expect(self, task_id: int, bridges: Sequence[Bridge]) -> dict[BridgeId, str]:
        """Invite these bridges, and only these, on behalf of a task; why some of them cannot be, as sentences."""
        by_dpid: dict[int, tuple[Bridge, ...]] = {}
        for bridge in bridges:
            if bridge.dpid is not None:
                by_dpid[bridge.dpid] = (*by_dpid.get(bridge.dpid, ()), bridge)
        problems = {
            bridge.id: f"{bridge.id}: ovs-vswitchd has not given it a datapath id; check that it runs there"
            for bridge in bridges
            if bridge.dpid is None
        }
        for twins in (found for found in by_dpid.values() if len(found) > 1):
            problems.update((bridge.id, _same_dpid(twins)) for bridge in twins)
        usable = [bridge for bridge in bridges if bridge.id not in problems]
        try:
            target = self._listening().target if usable else ""
        except InfrastructureError as error:
            return problems | {bridge.id: f"{bridge.id}: {error}" for bridge in usable}
        known = {bridge.id for found in self._expected.values() for bridge in found}
        self._expected = {dpid: found for dpid, found in by_dpid.items() if len(found) == 1}
        named = {bridge.id for bridge in usable}
        self._awaited = {bridge_id: since for bridge_id, since in self._awaited.items() if bridge_id in named}
        self._awaited.update((bridge.id, (bridge, monotonic())) for bridge in usable if bridge.id not in known)
        if usable:
            self._invitations.want(task_id, target, usable)
        else:
            self._invitations.take_back()
        return problems

    def bridge_of(self, dpid: int) -> BridgeId:
        """Who has come. Raises OpenFlowError for one that nobody expects."""
        found = self._expected.get(dpid)
        if found is None:
            raise OpenFlowError(f"nobody expects a bridge with datapath id {dpid:016x}")
        self._awaited.pop(found[0].id, None)
        return found[0].id

    def ask_after_the_missing(self) -> None:
        """Have the reason found out, once, for every bridge that should have come by now."""
        for bridge, since in tuple(self._awaited.values()):
            if monotonic() - since > DIAL_DEADLINE:
                self._awaited.pop(bridge.id, None)
                self._invitations.overdue(bridge)

    def release(self) -> None:
        """No task needs a remote bridge any more: take the invitations back and expect nobody."""
        self._expected, self._awaited = {}, {}
        self._invitations.take_back()

    def close(self) -> None:
        """End; what was invited is not, afterwards."""
        self._expected, self._awaited = {}, {}
        if self._listener is not None:
            self._listener.close()
        self._invitations.close()

    def _listening(self) -> Listener:
        if self._address is None:
            raise InfrastructureError(NO_ADDRESS)
        if self._listener is None:
            self._listener = Listener(self._address, self._arrived)
        return self._listener


def _same_dpid(bridges: Sequence[Bridge]) -> str:
    first, second = bridges[:2]
    return (
        f"{first.id} and {second.id} have the same datapath id {first.dpid or 0:016x}, so they cannot be told apart; "
        f"give one another: ovs-vsctl set bridge {second.id.name} other-config:datapath-id=HEX"
    )
