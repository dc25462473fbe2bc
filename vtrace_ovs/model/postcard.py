"""What an underlay device says of packets it drops or lets pass between two tunnel endpoints (§6.1: post-cards)."""

from dataclasses import dataclass

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, IPAddress
from vtrace_ovs.model.topology import BridgeId


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a packet was lost on the wire: between these two tunnel endpoints, in this VNI."""

    source: IPAddress
    destination: IPAddress
    vni: int


@dataclass(frozen=True, slots=True)
class DownPort:
    """A port of an underlay bridge by which nothing can leave: switched off, or without a carrier."""

    bridge: BridgeId
    ofport: int
    name: str
    switched_off: bool


@dataclass(frozen=True, slots=True)
class Postcard:
    """So many packets of a task's traffic were seen dropped at one place of an underlay bridge.

    ``flow`` and ``cookie`` are those of the flow that drops them, None where no flow of ``table_id`` matches.
    ``five_tuples`` are the packets' own, inside the tunnel.
    """

    segment: Segment
    bridge: BridgeId
    table_id: int
    flow: FlowKey | None
    cookie: int | None
    packets: int
    five_tuples: frozenset[FiveTuple] = frozenset()


@dataclass(frozen=True, slots=True)
class Passage:
    """So many packets from one tunnel endpoint to another came to an underlay bridge while it was asked."""

    source: IPAddress
    destination: IPAddress
    bridge: BridgeId
    packets: int
