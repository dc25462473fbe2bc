"""Turns copies that may be of several tasks' packets into those of one task: whose a packet is, its ingress tells.

Tasks with overlapping filters color alike, and a packet's state names any one of them (``instrumentation.sharing``). A
task takes a packet for its own once a copy shows it entering at a port and with headers of that task.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from vtrace_ovs.filters import accepts
from vtrace_ovs.instrumentation.plan import ArmedTask
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.session.collecting import MOST_ALIKE, Place, place_of

MOST_HELD = 1024
"""So many packets may wait for the copy of their ingress, which another VFD sent and may come later."""


@dataclass(slots=True)
class HeldCopies:
    """Copies of packets that were not seen entering yet; the oldest packets are forgotten first."""

    _copies: dict[str, dict[Place, list[PacketInRecord]]] = field(default_factory=dict)

    def hold(self, record: PacketInRecord) -> None:
        """Keep a copy until its packet is seen entering; of equal ones as many as show that there are too many."""
        alike = self._copies.setdefault(record.packet_id, {}).setdefault(place_of(record), [])
        if len(alike) <= MOST_ALIKE:
            alike.append(record)
        if len(self._copies) > MOST_HELD:
            del self._copies[next(iter(self._copies))]

    def release(self, packet_id: str) -> tuple[PacketInRecord, ...]:
        """The copies held of this packet, in the order they came."""
        held = chain.from_iterable(self._copies.pop(packet_id, {}).values())
        return tuple(sorted(held, key=lambda record: record.timestamp))


def enters(record: PacketInRecord) -> bool:
    """Whether a copy shows its packet entering the overlay."""
    return record.loc is Loc.IN and record.dscp_mark == 1


def enters_for(traffic: ArmedTask, bridge: BridgeId, in_port: int | None, headers: Headers | None) -> bool:
    """Whether a packet that enters here with these headers is one the task colors."""
    return (
        in_port in traffic.ofports(bridge)
        and headers is not None
        and any(accepts(one, headers) for one in traffic.colored)
    )


def own_ways(traffic: ArmedTask, ways: Iterable[Trajectory]) -> tuple[Trajectory, ...]:
    """The ways of packets that were seen entering as this task's."""
    return tuple(
        way
        for way in ways
        if way.hops
        and not way.hops[0].inferred
        and way.hops[0].dscp_mark == 1
        and enters_for(traffic, way.hops[0].bridge, way.hops[0].in_port, way.hops[0].headers_in)
    )
