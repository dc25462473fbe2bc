"""Turns where traffic enters and the tables read so far into the VFDs its packets may come to, and no others.

Only those are armed. What a VFD's tables leave open counts as everything behind its ports, so that the set may be too
large and not too small: NORMAL, floods, ports from registers, ``learn``, controllers, actions nobody here knows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.instrumentation.branches import Exit, Pipeline
from vtrace_ovs.instrumentation.looks import Look
from vtrace_ovs.instrumentation.plan import SourcePorts
from vtrace_ovs.instrumentation.reach import FILTER_FIELDS, exactly
from vtrace_ovs.instrumentation.visits import Inlet, Visits
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import (
    ETH_DST,
    ETH_SRC,
    ETH_TYPE,
    IN_PORT,
    IP_FRAG,
    IPV4_DST,
    IPV4_SRC,
    IPV6_DST,
    IPV6_SRC,
    METADATA,
    REGISTERS,
    TUN_DST,
    TUN_ID,
    TUN_IPV6_DST,
)
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.topology import Bridge, BridgeId, Port, PortKind, Topology

MOST_LOOKS = 8
"""So many looks are told apart in one table; of more, only what they have in common is known."""
MOST_INLETS = 4
WIDEST_VNI = 1 << 24
_CARRIED = FILTER_FIELDS | {ETH_SRC, ETH_DST}
"""What one VFD learns of a packet and the next can count on."""
_OF_FRAGMENTS = frozenset({ETH_TYPE, IPV4_SRC, IPV4_DST, IPV6_SRC, IPV6_DST})
FRESH = tuple(exactly(entry, 0) for entry in (*REGISTERS, METADATA))
NO_TUNNEL = tuple(exactly(entry, 0) for entry in (TUN_ID, TUN_DST, TUN_IPV6_DST))


@dataclass(frozen=True, slots=True)
class Arrival:
    """Packets that come to a VFD (None: to any that has a tunnel); by which of its ports (None: unknown).

    ``tunnelled``: they come out of a tunnel.
    """

    bridge: BridgeId | None
    in_port: int | None
    look: Look
    tunnelled: bool


class Neighbourhood:
    """A topology's VFDs and what is behind their ports. Build it once per topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.bridges = {bridge.id: bridge for bridge in topology.vfds()}
        self._ports = {bridge.id: {port.ofport: port for port in bridge.ports} for bridge in topology.vfds()}
        self._vteps = {node.name: frozenset(node.vteps) for node in topology.nodes}
        self._beside: dict[str, list[Bridge]] = {}
        self._tunnels: dict[str, list[Bridge]] = {}
        for bridge in topology.bridges:
            self._beside.setdefault(bridge.id.node, []).append(bridge)
        for bridge in topology.vfds():
            if any(port.kind is PortKind.TUNNEL for port in bridge.ports):
                self._tunnels.setdefault(bridge.id.node, []).append(bridge)
        self._at_vtep = {vtep: self._tunnels.get(node.name, []) for node in topology.nodes for vtep in node.vteps}

    def behind(self, here: BridgeId, leaving: Exit) -> Iterator[Arrival]:
        """Where packets that leave a VFD come in, as far as the inventory goes."""
        ports = self._ports[here]
        known = ports.values() if leaving.port is None else filter(None, (ports.get(leaving.port),))
        look = leaving.look.only(_CARRIED)
        for port in known:
            if port.kind is PortKind.PATCH:
                yield from self._across_patch(here, port, look)
            elif port.kind is PortKind.TUNNEL:
                yield from self._across(here, port, leaving.look, look)

    def _across_patch(self, here: BridgeId, port: Port, look: Look) -> Iterator[Arrival]:
        peers = ((bridge, bridge.port_named(port.peer)) for bridge in self._beside[here.node] if port.peer is not None)
        found = next(((bridge, far) for bridge, far in peers if far is not None), None)
        if found is not None and found[0].id in self.bridges:
            yield Arrival(found[0].id, found[1].ofport, look, tunnelled=False)

    def _across(self, here: BridgeId, port: Port, leaving: Look, look: Look) -> Iterator[Arrival]:
        destination = port.remote or _destination(leaving)
        if destination is None:
            yield Arrival(None, None, look, tunnelled=True)
            return
        vni = leaving.whole(TUN_ID) if port.key is None else None
        for bridge in self._at_vtep.get(destination, []):
            inlets = self._inlets(bridge, here.node)
            for inlet in inlets or (None,):
                told = vni is not None and vni < WIDEST_VNI and inlet is not None and inlet.key is None
                arrived = look.narrowed(Match.of(exactly(TUN_ID, vni or 0))) if told else look
                yield Arrival(bridge.id, None if inlet is None else inlet.ofport, arrived, tunnelled=True)

    def anywhere(self) -> Iterator[BridgeId]:
        """Every VFD that has a tunnel."""
        return (bridge.id for bridges in self._tunnels.values() for bridge in bridges)

    def _inlets(self, bridge: Bridge, sender: str) -> tuple[Port, ...]:
        """The tunnel ports that take packets of a server; none when there is no telling."""
        vteps = self._vteps.get(sender, frozenset[IPAddress]())
        tunnels = (port for port in bridge.ports if port.kind is PortKind.TUNNEL)
        found = tuple(port for port in tunnels if port.remote is None or port.remote in vteps)
        return found if len(found) <= MOST_INLETS else ()


def _destination(look: Look) -> IPAddress | None:
    """The destination of a tunnel that flows choose; None when it may be any."""
    four, six = look.whole(TUN_DST), look.whole(TUN_IPV6_DST)
    if four:
        return IPv4Address(four)
    return IPv6Address(six) if four == 0 and six else None


@dataclass(slots=True)
class Memory:
    """What was found out before: pipelines of all tasks, and the last answer for each (by any number of it)."""

    pipelines: dict[BridgeId, Pipeline] = field(default_factory=dict)
    answers: dict[int, "Answer"] = field(default_factory=dict)

    def pipeline(self, bridge: BridgeId, tables: BridgeTables) -> Pipeline:
        """The tables of a VFD, ready to be asked."""
        found = self.pipelines.get(bridge)
        if found is None or found.tables is not tables:
            found = self.pipelines[bridge] = Pipeline(tables)
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """The VFDs that packets may come to, and what that was found from; ``tables`` are those of these VFDs."""

    sources: tuple[SourcePorts, ...]
    matches: tuple[Match, ...]
    tables: Mapping[BridgeId, BridgeTables | None]
    shares: Mapping[BridgeId, Fraction]

    def holds(
        self, sources: tuple[SourcePorts, ...], matches: tuple[Match, ...], tables: Mapping[BridgeId, BridgeTables]
    ) -> bool:
        """Whether it is the answer to this as well."""
        same = (self.sources, self.matches) == (sources, matches)
        return same and all(tables.get(bridge) is read for bridge, read in self.tables.items())


def spread(
    sources: tuple[SourcePorts, ...],
    matches: tuple[Match, ...],
    tables: Mapping[BridgeId, BridgeTables],
    around: Neighbourhood,
    memory: Memory,
    number: int = 0,
) -> Mapping[BridgeId, Fraction]:
    """The VFDs that packets that look like this may come to from these ports. Those not in ``tables`` lead no further.

    Each with how often a packet passes it, of as often as it passes the one it passes most often; 1 where that is not
    known. ``number`` is the task's in ``memory``.
    """
    answer = memory.answers.get(number)
    if answer is None or not answer.holds(sources, matches, tables):
        spreading = _Spreading(tables, around, memory)
        looks = tuple(map(_look, matches))
        for source in sources:
            for ofport in sorted(source.ofports):
                for look in looks:
                    spreading.enter(Arrival(source.bridge, ofport, look, tunnelled=False))
        shares = spreading.run().shares()
        on_the_way = {bridge: tables.get(bridge) for bridge in shares}
        answer = memory.answers[number] = Answer(sources, matches, on_the_way, shares)
    return answer.shares


def _look(match: Match) -> Look:
    """What is known of packets that enter like this; of fragments, ports are shown or not as a bridge is set."""
    look = Look.of(*match.fields)
    return look.only(_OF_FRAGMENTS) if match.get(IP_FRAG) is not None else look


@dataclass(slots=True)
class _Spreading:
    tables: Mapping[BridgeId, BridgeTables]
    around: Neighbourhood
    memory: Memory
    visits: Visits = field(default_factory=Visits)
    _seen: dict[tuple[BridgeId, int], list[Look]] = field(default_factory=dict)
    _pending: list[tuple[BridgeId, int, Look]] = field(default_factory=list)
    _anywhere: list[Look] = field(default_factory=list)

    def enter(self, arrival: Arrival) -> None:
        """Packets enter a VFD, if it is one of the inventory."""
        if arrival.bridge in self.around.bridges:
            self.visits.come(None, arrival.bridge, arrival.in_port)
            self._follow(arrival.bridge, arrival)

    def _leave(self, sender: Inlet, leaving: Exit) -> None:
        for arrival in self.around.behind(sender.bridge, leaving):
            if arrival.bridge is None:
                self._arrive_anywhere(arrival)
                continue
            told = leaving.port is not None
            self.visits.come(sender if told else None, arrival.bridge, arrival.in_port if told else None)
            self._follow(arrival.bridge, arrival)

    def _arrive_anywhere(self, arrival: Arrival) -> None:
        if self._is_new(self._anywhere, arrival.look):
            widened = replace(arrival, look=self._anywhere[-1])
            for bridge in self.around.anywhere():
                self.visits.come(None, bridge, None)
                self._follow(bridge, widened)

    def _follow(self, bridge: BridgeId, arrival: Arrival) -> None:
        if bridge in self.tables:
            port = () if arrival.in_port is None else (exactly(IN_PORT, arrival.in_port),)
            fresh = Match((*FRESH, *(() if arrival.tunnelled else NO_TUNNEL), *port))
            self._enter(bridge, 0, arrival.look.narrowed(fresh))

    def run(self) -> Visits:
        """Follow them until nothing is new; by which ways they may come to which VFDs."""
        while self._pending:
            bridge, table_id, look = self._pending.pop()
            onward = self.memory.pipeline(bridge, self.tables[bridge]).onward(table_id, look)
            for target, there in onward.tables:
                self._enter(bridge, target, there)
            for leaving in onward.exits:
                self._leave(Inlet(bridge, look.whole(IN_PORT)), leaving)
        return self.visits

    def _enter(self, bridge: BridgeId, table_id: int, look: Look) -> None:
        looks = self._seen.setdefault((bridge, table_id), [])
        if self._is_new(looks, look):
            self._pending.append((bridge, table_id, looks[-1]))

    @staticmethod
    def _is_new(looks: list[Look], look: Look) -> bool:
        """Put a look to those of one place, unless they cover it; of too many, all become one."""
        if any(known.covers(look) for known in looks):
            return False
        if len(looks) >= MOST_LOOKS:
            for known in looks:
                look = look.joined(known)
            looks.clear()
        looks.append(look)
        return True
