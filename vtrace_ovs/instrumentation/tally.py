"""Turns the flows and meters that count packets by color, and their counters, into what was counted where.

Open vSwitch credits packets to flows some time after they passed, and to those flows that their megaflow stands for by
then. So where one color follows the other, a few packets are credited to the wrong one on the server that colors. A
meter counts in the datapath itself; elsewhere a megaflow is of one color for good, as it looks at the code.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from math import ceil

from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import BridgePlan, Gate, ProbeKind
from vtrace_ovs.instrumentation.state import COLOR, INDEX, OUT_OF_TUNNEL
from vtrace_ovs.instrumentation.walk import every_action
from vtrace_ovs.model.actions import Meter
from vtrace_ovs.model.counting import CountedPlace, CountKind, Counts, Segment
from vtrace_ovs.model.flow import Flow, FlowKey, FlowMod, MeterCounters
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import IN_PORT, IP_PROTO, TUN_DST, TUN_IPV6_DST, TUN_IPV6_SRC, TUN_SRC, Field
from vtrace_ovs.model.topology import Bridge, Port, PortKind, Topology

Places = Mapping[FlowKey, tuple[CountedPlace, ...]]
"""What each of our flows on a bridge counts."""

_BY_GATE = {
    Gate.CAME: CountKind.CAME,
    Gate.SENT: CountKind.SENT,
    Gate.ENDED: CountKind.ENDED,
    Gate.DISCARDED: CountKind.DISCARDED,
}
_BY_PROBE = {
    ProbeKind.ERROR: CountKind.DROPPED,
    ProbeKind.MISS: CountKind.DROPPED,
    ProbeKind.ASIDE: CountKind.ASIDE,
    ProbeKind.OUT: CountKind.UNNAMED,
}
_UNCOUNTED = frozenset({CountKind.LEFT, CountKind.UNMARKABLE})
"""Nobody counts where these packets come."""


def counted_places(plan: BridgePlan, bridge: Bridge, topology: Topology) -> Places:
    """What the flows of a plan count, by the key of the flow; those that count nothing are left out."""
    reader = _Reader(plan, bridge, topology)
    read = ((mod.key, tuple(reader.places(mod))) for mod in (*plan.sinks, *plan.sources))
    return {key: places for key, places in read if places}


def counts(plan: BridgePlan, places: Places, flows: Iterable[Flow], meters: Iterable[MeterCounters]) -> Counts:
    """The counters of these flows and meters by place."""
    found: Counter[CountedPlace] = Counter()
    for flow in flows:
        for place in places.get(flow.key, ()):
            found[place] += flow.n_packets
    gates = {plan.meter_ids.counting(gate, color): (gate, color) for gate, color in product(Gate, (0, 1))}
    for meter in meters:
        if meter.meter_id in gates:
            gate, color = gates[meter.meter_id]
            found[CountedPlace(plan.bridge, _BY_GATE[gate], color)] = meter.packets_in
    return found


def sources_in(plan: BridgePlan, color: int, lease: float) -> tuple[FlowMod, ...]:
    """The sources of a plan in a color, to be sent again in the place of those in the other; they last ``lease`` s."""
    return tuple(replace(mod, hard_timeout=max(ceil(lease), 1)) for mod in (plan.sources, plan.recolored)[color])


class _Reader:
    """Reads the flows of one plan."""

    def __init__(self, plan: BridgePlan, bridge: Bridge, topology: Topology) -> None:
        self._plan = plan
        self._bridge = bridge
        self._topology = topology
        self._numbers = {port.ofport for port in bridge.ports}
        self._ends: dict[FlowKey, list[tuple[CountKind, int | None]]] = {}
        for probe in plan.probes:
            if probe.flow is not None and probe.kind in _BY_PROBE and probe.out_port not in self._numbers:
                self._ends.setdefault(probe.flow, []).append((_BY_PROBE[probe.kind], probe.cookie))

    def places(self, mod: FlowMod) -> Iterator[CountedPlace]:
        cookie = Cookie.of(mod.cookie)
        kind = None if cookie is None else cookie.kind
        state = mod.match.get(self._plan.state.field)
        color = 0 if state is None else COLOR.of(state.value)
        if kind is CookieKind.TALLY and mod.table_id == self._plan.tables.classify:
            yield self._came(mod.match, color)
        elif kind is CookieKind.TALLY and self._port(mod.match):
            any_protocol = mod.match.get(IP_PROTO) is None
            yield self._went(mod.match, color, CountKind.LEFT if any_protocol else CountKind.UNMARKABLE)
        elif kind is CookieKind.LEAVE:
            passing = state is not None and INDEX.of(state.value & state.mask) == OUT_OF_TUNNEL
            yield self._went(mod.match, color, CountKind.PASSED_ON if passing else CountKind.MARKED)
        elif kind is CookieKind.CLONE:
            yield from self._passed(mod, color)
        elif kind is CookieKind.MISS:
            yield CountedPlace(self._bridge.id, CountKind.DROPPED, color, table_id=mod.table_id)
        elif kind is CookieKind.UNCOLORED:
            yield CountedPlace(self._bridge.id, CountKind.OTHER_DSCP, 0)

    def _came(self, match: Match, color: int) -> CountedPlace:
        port = self._port(match)
        if port is None or port.kind not in (PortKind.TUNNEL, PortKind.PATCH):
            ofport = None if port is None else port.ofport
            return CountedPlace(self._bridge.id, CountKind.ENTERED, color, ofport)
        other = self._other_end(port, match, TUN_SRC, TUN_IPV6_SRC)
        segment = None if other is None else Segment(other, self._here(port))
        return CountedPlace(self._bridge.id, CountKind.ARRIVED, color, port.ofport, segment)

    def _went(self, match: Match, color: int, kind: CountKind) -> CountedPlace:
        port = self._port(match)
        if port is None:
            return CountedPlace(self._bridge.id, kind, color)
        other = None if kind in _UNCOUNTED else self._other_end(port, match, TUN_DST, TUN_IPV6_DST)
        segment = None if other is None else Segment(self._here(port), other)
        return CountedPlace(self._bridge.id, kind, color, port.ofport, segment)

    def _passed(self, mod: FlowMod, color: int) -> Iterator[CountedPlace]:
        fields = (masked for masked in mod.match.fields if masked.field is not self._plan.state.field)
        flow = FlowKey(mod.table_id, mod.priority - 1, Match(tuple(fields)))
        for kind, cookie in dict.fromkeys(self._ends.get(flow, ())):
            yield CountedPlace(self._bridge.id, kind, color, table_id=flow.table_id, flow=flow, cookie=cookie)
        for step in (*mod.instructions, *every_action(mod.instructions)):
            if isinstance(step, Meter):
                place = CountedPlace(self._bridge.id, CountKind.METERED, color, meter_id=step.meter_id)
                yield replace(place, table_id=flow.table_id, flow=flow)

    def _port(self, match: Match) -> Port | None:
        masked = match.get(IN_PORT)
        return None if masked is None else self._bridge.port(masked.value)

    def _here(self, port: Port) -> str:
        return self._bridge.id.node if port.kind is PortKind.TUNNEL else str(self._bridge.id)

    def _other_end(self, port: Port, match: Match, v4: Field, v6: Field) -> str | None:
        """The server behind a tunnel, or the bridge behind a patch port."""
        if port.kind is PortKind.PATCH:
            peer = self._topology.patch_peer(self._bridge.id, port)
            return None if peer is None else str(peer[0].id)
        vtep = port.remote
        if masked := match.get(v4):
            vtep = IPv4Address(masked.value)
        elif masked := match.get(v6):
            vtep = IPv6Address(masked.value)
        node = None if vtep is None else self._topology.node_of_vtep(vtep)
        return None if node is None else node.name
