"""Turns the ways packets may take from VFD to VFD into how often one of them passes each.

A gateway takes a packet from a tunnel, and again from its router: it is copied there twice as often as elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from vtrace_ovs.model.topology import BridgeId

MOST_WAYS = 512
"""Of more ways from VFD to VFD, how often a packet passes each is not asked."""


class Inlet(NamedTuple):
    """A port by which packets come to a VFD; None: it is not known which."""

    bridge: BridgeId
    in_port: int | None


@dataclass(slots=True)
class Visits:
    """By which inlets packets may come to each VFD, and by which ones they came to the VFD before (none: they enter).

    ``unknown`` are VFDs they may also come to in other ways, or where nobody knows by which port.
    """

    before: dict[Inlet, set[Inlet]] = field(default_factory=dict)
    unknown: set[BridgeId] = field(default_factory=set)

    def come(self, sender: Inlet | None, bridge: BridgeId, in_port: int | None) -> None:
        """Packets may come to a VFD by this port, having come to another by that."""
        inlet = Inlet(bridge, in_port)
        self.before.setdefault(inlet, set()).update(() if sender is None else (sender,))
        if in_port is None:
            self.unknown.add(bridge)

    def shares(self) -> Mapping[BridgeId, Fraction]:
        """How often a packet passes each VFD, of as often as it passes the one it passes most often; 1 if unknown."""
        visits = self._counted()
        most = max(visits.values(), default=1)
        return {inlet.bridge: Fraction(visits.get(inlet.bridge, most), most) for inlet in self.before}

    def _counted(self) -> dict[BridgeId, int]:
        """The most inlets of each VFD on one way; none at all where packets may go round."""
        if sum(map(len, self.before.values())) > MOST_WAYS:
            return {}
        inlets: dict[BridgeId, set[Inlet]] = {}
        for inlet in self.before:
            inlets.setdefault(inlet.bridge, set()).add(inlet)
        before = {inlet: self._resolved(senders, inlets) for inlet, senders in self.before.items()}
        try:
            order = tuple(TopologicalSorter(before).static_order())
        except CycleError:
            return {}
        known = inlets.keys() - self.unknown
        return {bridge: _most(bridge, order, before) if len(inlets[bridge]) > 1 else 1 for bridge in known}

    @staticmethod
    def _resolved(senders: set[Inlet], inlets: Mapping[BridgeId, set[Inlet]]) -> set[Inlet]:
        """Packets that came nobody knows how may have come by any inlet."""
        asked = ({sender} if sender in inlets[sender.bridge] else inlets[sender.bridge] for sender in senders)
        return set[Inlet]().union(*asked)


def _most(bridge: BridgeId, order: tuple[Inlet, ...], before: Mapping[Inlet, set[Inlet]]) -> int:
    passed: dict[Inlet, int] = {}
    for inlet in order:
        passed[inlet] = max((passed[sender] for sender in before[inlet]), default=0) + (inlet.bridge == bridge)
    return max(passed.values())
