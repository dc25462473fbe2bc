"""The nouns of instrumentation: tasks as the data plane sees them, the plan of one bridge, and its probes."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from operator import attrgetter

from vtrace_ovs.instrumentation.cookies import CookieKind, kind_of
from vtrace_ovs.instrumentation.marks import MarkPlan
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import FlowKey, FlowMod, MeterMod
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, PortKind, Topology

_ID = attrgetter("id")


@dataclass(frozen=True, slots=True)
class SourcePorts:
    """The edge ports of one bridge where a task colors packets."""

    bridge: BridgeId
    ofports: frozenset[int]


@dataclass(frozen=True, slots=True)
class ArmedTask:
    """A task as the data plane sees it.

    ``slot`` is its number in the state field. ``vnis`` are the VNIs its tenant may use between servers, None
    when unknown. ``aliases`` are further five-tuples of the same traffic, behind NAT; ``fragments``: fragments are
    colored too, whosever they are. ``deadline`` (Unix seconds) is the moment tracing ends at the latest. ``replies``
    tells that the traffic answers that of another task. The sources of a task that is counted last ``lease`` seconds
    unless they are sent again. ``shares`` are the VFDs its packets may come to, as ``spread`` found them; empty when
    nobody asked.
    """

    slot: int
    filter: Filter
    sources: tuple[SourcePorts, ...]
    packet_count: int
    deadline: float
    vnis: frozenset[int] | None = None
    aliases: tuple[Filter, ...] = ()
    replies: bool = False
    fragments: bool = False
    lease: float | None = None
    shares: Mapping[BridgeId, Fraction] = field(default_factory=dict, hash=False)

    def share(self, bridge: BridgeId) -> Fraction:
        """How many copies of its packets a VFD takes, of as many as the one takes that they pass most often."""
        return self.shares.get(bridge, Fraction(0)) if self.shares else Fraction(1)

    def ofports(self, bridge: BridgeId) -> frozenset[int]:
        """Where it colors on one bridge."""
        return frozenset(port for source in self.sources if source.bridge == bridge for port in source.ofports)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Its filter and its aliases."""
        return (self.filter, *self.aliases)

    @property
    def colored(self) -> tuple[Filter, ...]:
        """What its packets look like where they enter: replies come as they are before NAT undoes what it did."""
        return self.filters if self.replies else (self.filter,)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a bridge's plan depends on outside that bridge: who else will take marks off again, and the marks.

    ``armed`` holds every bridge that has, or is about to have, its sinks installed. ``vteps`` are the tunnel endpoints
    of servers whose every VFD with a tunnel is armed, with the server; ``bridges_of`` each server's bridges.
    """

    topology: Topology
    armed: frozenset[BridgeId]
    marks: MarkPlan
    bridges_of: Mapping[str, tuple[Bridge, ...]] = field(init=False, repr=False, compare=False)
    vteps: Mapping[IPAddress, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bridges_of: dict[str, list[Bridge]] = {}
        for bridge in self.topology.bridges:
            bridges_of.setdefault(bridge.id.node, []).append(bridge)
        vteps: dict[IPAddress, str] = {}
        for node in self.topology.nodes:
            here = [bridge for bridge in bridges_of.get(node.name, ()) if _takes_marks_off(bridge)]
            if here and all(bridge.id in self.armed for bridge in here):
                vteps.update(dict.fromkeys(node.vteps, node.name))
        object.__setattr__(self, "bridges_of", {node: tuple(bridges) for node, bridges in bridges_of.items()})
        object.__setattr__(self, "vteps", vteps)


def _takes_marks_off(bridge: Bridge) -> bool:
    """Whether packets come to a VFD by a tunnel."""
    tunnels = any(port.kind is PortKind.TUNNEL for port in bridge.ports)
    return tunnels and bridge.role is not BridgeRole.UNDERLAY


@dataclass(frozen=True, slots=True)
class Settings:
    """Knobs. Rates are copies per second; ``source_margin`` and ``sink_margin`` are seconds past a task's deadline.

    ``controller_id`` is our private controller id (trap T4), ``generation`` (0-255) tells controller runs apart.
    ``copies_per_packet`` copies of each packet fit into the meter's burst of one bridge, but no more than
    ``most_burst``: Open vSwitch queues 100 for a connection, its socket takes 170 to 270 more, and the rest is lost.
    That is the burst of the VFD which packets pass most often; the others let as many packets through, so fewer copies.
    ``spare_copies`` fit in any case: of up to 32 packets that come together, all are copied as they come in before any
    is as it leaves. ``max_flows`` bounds one plan.
    """

    controller_id: int
    generation: int
    max_len: int = 192
    log_rate: int = 2000
    apart_rate: int = 10
    apart_burst: int = 20
    copies_per_packet: int = 8
    spare_copies: int = 64
    most_burst: int = 256
    source_margin: float = 15.0
    sink_margin: float = 30.0
    max_flows: int = 50_000

    @property
    def outlet_margin(self) -> float:
        """When packets leave without marks, whoever gave them one before; others still know how to take it off then."""
        return (self.source_margin + self.sink_margin) / 2


class ProbeKind(Enum):
    """Where on a packet's way a copy was taken.

    COLORED and ARRIVED are ``in``; FOREIGN carries a mark but is nobody's; UNCOLORED matches a filter but has a DSCP no
    series exists for. MISS is an ``error`` without a flow. ASIDE is an ``error`` where other tables still follow.
    ASKED is no packet of the filter: its sender asks for a neighbour. FRAGMENT may be of a filter, but is not colored.
    """

    COLORED = 1
    ARRIVED = 2
    UNCOLORED = 3
    FOREIGN = 4
    OUT = 5
    ERROR = 6
    MISS = 7
    ASIDE = 8
    ASKED = 9
    FRAGMENT = 10


@quickly_built
@dataclass(frozen=True, slots=True)
class Probe:
    """One place in a bridge's tables that sends copies.

    ``flow`` and ``cookie`` are those of the production flow it stands in, None for ``in`` and for a miss. ``out_port``
    is None where the flow does not say (NORMAL, groups, ports in registers). ``hairpin`` is true for OFPP_IN_PORT.
    """

    id: int
    kind: ProbeKind
    loc: Loc
    table_id: int
    flow: FlowKey | None = None
    cookie: int | None = None
    out_port: int | None = None
    port_kind: PortKind | None = None
    hairpin: bool = False


class Gate(Enum):
    """Where a VFD's counting meters stand.

    Where packets come in, are sent through a tunnel, leave in any other way, or are dropped by a flow or a miss.
    """

    CAME = 0
    SENT = 1
    ENDED = 2
    DISCARDED = 3


@dataclass(frozen=True, slots=True)
class PrivateTables:
    """Tables no production flow lives in or leads to: task lookup, egress decision, and writing the DSCP."""

    classify: int
    leave: int
    turn: int


@dataclass(frozen=True, slots=True)
class PrivateMeters:
    """Our meters: for copies of traced packets, and a thinner one for packets that are nobody's.

    Where packets are counted there is none of these, but from the same number on one per gate and color.
    """

    traced: int
    apart: int

    def counting(self, gate: Gate, color: int) -> int:
        """The meter that counts packets of a color at a gate."""
        return self.traced + 2 * gate.value + color


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """Everything we install on one bridge.

    Install ``meters``, then ``sinks`` on every bridge, then ``sources``; remove in the reverse order (trap T10). Sinks
    are in the order in which they meet a packet, and clones in production's, as Open vSwitch takes the first of equals.
    Tasks with equal filters have flows of equal keys, of which the bridge keeps the last.
    ``unlogged`` are production flows where a traced packet may end or leave without a copy. ``sink_deadline`` (Unix
    seconds) is when the sinks expire by themselves, never before any source, and ``outlet_deadline``, between the two,
    when those do that have packets leave with marks. Where packets are counted, ``recolored`` are the sources in the
    other color.
    """

    bridge: BridgeId
    dpid: int
    state: StateField
    tables: PrivateTables
    meter_ids: PrivateMeters
    meters: tuple[MeterMod, ...]
    sinks: tuple[FlowMod, ...]
    sources: tuple[FlowMod, ...]
    probes: tuple[Probe, ...]
    unlogged: tuple[FlowKey, ...]
    sink_deadline: float
    outlet_deadline: float
    recolored: tuple[FlowMod, ...] = ()

    @property
    def burst(self) -> int:
        """How many copies of traced packets are let through at once; of packets that are counted, any number."""
        return next(meter.burst for meter in self.meters if meter.meter_id == self.meter_ids.traced)

    @property
    def touch(self) -> FlowMod:
        """The sink to send again so that the datapath follows: there in every plan, and its counter is nobody's.

        Open vSwitch may credit packets to the flow entry that was replaced, and they are counted no more.
        """
        return next(mod for mod in self.sinks if kind_of(mod.cookie) is CookieKind.TURN)

    def probe(self, probe_id: int) -> Probe | None:
        """The probe with this id; ``probes`` are in order of id."""
        at = bisect_left(self.probes, probe_id, key=_ID)
        return self.probes[at] if at < len(self.probes) and self.probes[at].id == probe_id else None


def on_the_bridge(flows: Iterable[FlowMod]) -> tuple[FlowMod, ...]:
    """What a bridge has once these are added: of several with one key, the last."""
    return tuple({flow.key: flow for flow in flows}.values())
