"""Turns what servers say before, during and after a trace into what it cost each of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vtrace_ovs.model.cost import FullZone, Moment, ServerCost, ServerReading
from vtrace_ovs.model.topology import Bridge
from vtrace_ovs.model.tunnel_reach import TunnelReach

OBSERVED_SERVERS = 64
"""Servers that are read for a trace: the first of these; of more, each would only be read late."""


@dataclass(slots=True)
class Observation:
    """The readings of one trace, and who is still to answer. Copies are counted as they come.

    ``reaches`` is what the readings tell of tunnels; it is no cost, so it is kept apart.
    ``begun`` tells that servers were asked for the first time.
    """

    readings: dict[tuple[str, Moment], ServerReading] = field(default_factory=dict)
    awaited: set[tuple[str, Moment]] = field(default_factory=set)
    copies: Counter[str] = field(default_factory=Counter)
    reaches: dict[tuple[str, Moment], TunnelReach] = field(default_factory=dict)
    begun: bool = False

    def ask(self, bridges: Iterable[Bridge], moment: Moment) -> tuple[Bridge, ...]:
        """The bridges to ask at this moment: one per server, later on only where there is something to compare with.

        From now on only these answers are awaited; older ones are still welcome.
        """
        self.begun = True
        servers = {bridge.id.node: bridge for bridge in bridges}
        if moment is not Moment.BEFORE:
            begun = {node for node, _ in (*self.readings, *self.awaited)}
            servers = {node: bridge for node, bridge in servers.items() if node in begun}
        asked = dict(sorted(servers.items())[:OBSERVED_SERVERS])
        self.awaited = {(node, moment) for node in asked}
        return tuple(asked.values())

    def take(self, node: str, moment: Moment, reading: ServerReading | None) -> None:
        """A server answered, or could not."""
        self.awaited.discard((node, moment))
        if reading is not None:
            self.readings[node, moment] = replace(reading, reach=None)
            if reading.reach is not None:
                self.reaches[node, moment] = reading.reach

    def copy(self, node: str) -> None:
        """A packet-in came from this server."""
        self.copies[node] += 1

    def copies_dropped(self) -> dict[str, int]:
        """The servers that dropped packet-ins in full queues since before the trace, and how many."""
        return {cost.node: cost.copies_dropped for cost in self.costs() if cost.copies_dropped}

    def full_zones(self) -> dict[str, tuple[FullZone, ...]]:
        """The conntrack zones of each server that were full when it was last asked for them."""
        readings = sorted(self.readings.items(), key=lambda one: one[1].at)
        newest = {node: zones for (node, _), reading in readings if (zones := reading.full_zones) is not None}
        return {node: zones for node, zones in newest.items() if zones}

    def reach(self) -> dict[str, TunnelReach]:
        """Where the tunnels of each server led when the packets had been sent, by neighbours known then or before."""
        found = {}
        for (node, moment), reach in self.reaches.items():
            if moment is Moment.DURING:
                before = self.reaches.get((node, Moment.BEFORE))
                found[node] = reach if before is None else reach.also(before.neighbours)
        return found

    def costs(self) -> tuple[ServerCost, ...]:
        """What is known so far, by server."""
        nodes = sorted({node for node, _ in self.readings} | set(self.copies))
        return tuple(
            ServerCost(
                node,
                self.copies[node],
                *(self.readings.get((node, moment)) for moment in (Moment.BEFORE, Moment.DURING, Moment.AFTER)),
            )
            for node in nodes
        )
