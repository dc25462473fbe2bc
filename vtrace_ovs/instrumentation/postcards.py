"""Turns the tables of an underlay bridge into the flows that copy what it drops between two tunnel endpoints to us.

A flow without actions gets a twin for these endpoints, one priority above, that does nothing but send a copy; so does a
table without a flow for them. Where that could put the twin before a flow that forwards, there is none. What passes is
only counted (``passages``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from vtrace_ovs.instrumentation.clones import HIGHEST
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.passages import counting
from vtrace_ovs.instrumentation.plan import Probe, Settings
from vtrace_ovs.instrumentation.probes import ProbeBook
from vtrace_ovs.instrumentation.reach import exactly, reach
from vtrace_ovs.instrumentation.site import apply
from vtrace_ovs.instrumentation.spare import spare_meters
from vtrace_ovs.model.actions import ApplyActions, Instruction
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowKey, FlowMod, FlowModCommand, MeterMod, MeterModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import ETH_TYPE, IPV4_DST, IPV4_SRC, IPV6_DST, IPV6_SRC
from vtrace_ovs.model.packet import IPAddress, family_of

CARDS_PER_SECOND, CARDS_AT_ONCE = 50, 50


@dataclass(frozen=True, slots=True)
class Watch:
    """What to install on an underlay bridge, meter first, and where the copies come from.

    ``passing`` are those of the flows that count, and what: packets from one tunnel endpoint to another.
    """

    meter: MeterMod
    flows: tuple[FlowMod, ...]
    probes: tuple[Probe, ...]
    passing: Mapping[FlowKey, tuple[IPAddress, IPAddress]] = field(default_factory=dict)

    def probe(self, probe_id: int) -> Probe | None:
        """The probe with this id."""
        return next((probe for probe in self.probes if probe.id == probe_id), None)


def watch(
    tables: BridgeTables, ends: Iterable[tuple[IPAddress, IPAddress]], settings: Settings, lifetime: int
) -> Watch | None:
    """The flows that copy drops between these (source, destination) tunnel endpoints and count; None: nothing to do.

    They expire after ``lifetime`` seconds. Raises RefusedError when the bridge has no meter id left.
    """
    meters = spare_meters(tables.meters)
    book = ProbeBook(settings, meters)
    flows: dict[FlowKey, FlowMod] = {}
    passing: dict[FlowKey, tuple[IPAddress, IPAddress]] = {}
    for source, destination in ends:
        pair = _between(source, destination)
        for place, match, kind, log in _drops(tables, pair, book):
            cookie = Cookie(settings.generation, kind).value
            mod = FlowMod(FlowModCommand.ADD, *place, match, cookie, instructions=log, hard_timeout=lifetime)
            flows.setdefault(mod.key, mod)
        tally = counting(tables, pair, settings, lifetime)
        if tally is not None:
            flows[tally.key], passing[tally.key] = tally, (source, destination)
    if not flows:
        return None
    meter = MeterMod(MeterModCommand.ADD, meters.traced, CARDS_PER_SECOND, CARDS_AT_ONCE)
    return Watch(meter, tuple(flows.values()), book.all(), passing)


def _between(source: IPAddress, destination: IPAddress) -> Match:
    v4 = isinstance(source, IPv4Address)
    fields = (IPV4_SRC, IPV4_DST) if v4 else (IPV6_SRC, IPV6_DST)
    ends = (exactly(field, int(end)) for field, end in zip(fields, (source, destination), strict=True))
    return Match.of(exactly(ETH_TYPE, family_of(source)), *ends)


_Copy = tuple[tuple[int, int], Match, CookieKind, tuple[Instruction, ...]]


def _drops(tables: BridgeTables, pair: Match, book: ProbeBook) -> Iterator[_Copy]:
    """Table and priority, match, kind and instructions of each twin."""
    reached = reach(tables.flows, {group.group_id: group for group in tables.groups}, [pair])
    for table_id in sorted(reached.conclusive):
        flows = reached.flows.get(table_id, ())
        for flow in flows:
            met = flow.match.meet(pair)
            if met is not None and _drops_for_good(flow) and not _in_the_way(flow, met, flows):
                log = apply(*book.dead_end(flow, conclusive=True))
                yield (table_id, flow.priority + 1), met, CookieKind.CLONE, log
        if (table_id, 0) not in reached.learned and _may_miss(pair, flows):
            yield (table_id, 0), pair, CookieKind.MISS, apply(*book.miss(table_id))


def _may_miss(pair: Match, flows: Iterable[Flow]) -> bool:
    """Whether no flow takes them all, and none is as low as the twin would be."""
    return not any(
        flow.match.meet(pair) == pair or (flow.priority == 0 and flow.match.overlaps(pair)) for flow in flows
    )


def _drops_for_good(flow: Flow) -> bool:
    """Whether it does nothing, and does not live by the packets that hit it."""
    return _idle(flow) and not flow.idle_timeout and not flow.hard_timeout and flow.priority < HIGHEST


def _idle(flow: Flow) -> bool:
    return all(isinstance(entry, ApplyActions) and not entry.actions for entry in flow.instructions)


def _in_the_way(flow: Flow, met: Match, flows: Iterable[Flow]) -> bool:
    """Whether a flow beside or just above does something with packets that the twin would take, or is its equal."""
    near = (other for other in flows if other is not flow and other.priority in (flow.priority, flow.priority + 1))
    return any(
        (not _idle(other) and other.match.overlaps(met)) or (other.priority > flow.priority and other.match == met)
        for other in near
    )
