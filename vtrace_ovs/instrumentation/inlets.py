"""Turns tasks and marks into the flows that color and listen at edge ports and take marks off at other ports."""

from collections.abc import Iterable, Iterator
from itertools import product

from vtrace_ovs.instrumentation.cookies import CookieKind
from vtrace_ovs.instrumentation.entrance import BELOW_TOP, ENTRY_TABLE, TOP
from vtrace_ovs.instrumentation.fragments import source_fragments, source_matches, task_matches
from vtrace_ovs.instrumentation.isolation import isolating
from vtrace_ovs.instrumentation.marks import Mark
from vtrace_ovs.instrumentation.outlets import leads_to_armed_vtep, peer_is_armed, tunnel_keys, tunnel_source
from vtrace_ovs.instrumentation.plan import ArmedTask, Gate, ProbeKind
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.instrumentation.site import Site, apply
from vtrace_ovs.instrumentation.state import OUT_OF_TUNNEL, State
from vtrace_ovs.model.actions import Action, Resubmit
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ARP_OP, ETH_TYPE, ICMPV6_TYPE, IN_PORT, IP_DSCP, IP_PROTO
from vtrace_ovs.model.packet import IpFamily, IpProtocol
from vtrace_ovs.model.topology import Port, PortKind

LISTEN = 65533  # a solicitation may be a packet of the filter
TALLY_FROM = 8
TALLY = 7
COLORED = 6
UNCOLORED = 5
HEARD = 4
TASK = 3
RESTORED = 2
NO_TASK = 1  # not 0: OVS gives copies from a table-miss flow another reason (OFPR_NO_MATCH)
AGAIN = Resubmit(None, ENTRY_TABLE)
"""Start production over, with the packet's own ingress port."""
_QUESTIONS = {
    IpFamily.IPV4: Match.of(exactly(ETH_TYPE, 0x0806), exactly(ARP_OP, 1)),
    IpFamily.IPV6: Match.of(
        exactly(ETH_TYPE, IpFamily.IPV6), exactly(IP_PROTO, IpProtocol.ICMPV6), exactly(ICMPV6_TYPE, 135)
    ),
}
"""ARP requests and neighbour solicitations."""
_HEARD = {CookieKind.ASKED: ProbeKind.ASKED, CookieKind.FRAGMENT: ProbeKind.FRAGMENT}


def inlet_ports(site: Site) -> tuple[Port, ...]:
    """The ports through which packets with our marks may arrive: from an armed VFD here or on another server."""
    return tuple(port for port in site.bridge.ports if _from_armed_vfd(site, port))


def enter_flows(site: Site) -> Iterator[FlowMod]:
    """Where five-tuples are looked up aside: send packets of source ports there, and the others' on as they came."""
    if not site.entrance.aside:
        return
    look_up = apply(Resubmit(None, site.tables.classify))
    go_on = apply(site.state.load(State()), AGAIN)
    for ofport in sorted({ofport for task in site.tasks for ofport in task.ofports(site.bridge.id)}):
        here = Match.of(exactly(IN_PORT, ofport), site.state.unseen())
        coloring = (task for task in site.tasks if ofport in task.ofports(site.bridge.id))
        wanted = (match for task in coloring for match in (*source_matches(task), *source_fragments(task)))
        for kind in dict.fromkeys(map(_kind, wanted)):
            yield site.flow((ENTRY_TABLE, TOP), here.with_fields(*kind), CookieKind.ENTER, look_up)
        yield site.flow((site.tables.classify, TASK), here, CookieKind.ENTER, go_on)


def _kind(wanted: Match) -> tuple[MaskedField, ...]:
    """What is wanted, as far as no trie is concerned."""
    return tuple(masked for masked in wanted.fields if masked.field in {ETH_TYPE, IP_PROTO})


def source_flows(site: Site, color: int = 0) -> Iterator[FlowMod]:
    """Color and log a task's packets where they enter the overlay; packets with an unplanned DSCP are only logged.

    A packet with the state bit set has been here, so the resubmit cannot recurse (trap T5).
    """
    for task in site.tasks:
        for ofport in sorted(task.ofports(site.bridge.id)):
            for match in source_matches(task):
                yield from _coloring(site, task, ofport, match, color)


def _coloring(site: Site, task: ArmedTask, ofport: int, wanted: Match, color: int) -> Iterator[FlowMod]:
    aside = site.entrance.aside
    table_id, top, below = (site.tables.classify, COLORED, UNCOLORED) if aside else (ENTRY_TABLE, TOP, BELOW_TOP)
    match = wanted.with_fields(exactly(IN_PORT, ofport), site.state.unseen())
    for dscp in site.scene.marks.series:
        code = site.scene.marks.code(1, dscp, color)
        load = site.state.load(State(traced=True, index=1, code=code, dscp=dscp, slot=task.slot, color=color))
        log = site.book.arrival(ProbeKind.COLORED, ENTRY_TABLE, ofport)
        colored = match.with_fields(exactly(IP_DSCP, dscp))
        yield site.flow((table_id, top), colored, CookieKind.COLOR, apply(load, *log, _onward(site)), task.slot)
    if not site.state.outlives_the_bridge:
        load = site.state.load(State(slot=task.slot))
        log = site.book.arrival(ProbeKind.UNCOLORED, ENTRY_TABLE, ofport)
        yield site.flow((table_id, below), match, CookieKind.UNCOLORED, apply(load, *log, AGAIN), task.slot)


def _onward(site: Site) -> Resubmit:
    """Where a traced packet goes on: to production, by way of the flows that count it where it is only counted."""
    return Resubmit(None, site.tables.classify) if site.counting else AGAIN


def tally_flows(site: Site) -> Iterator[FlowMod]:
    """Count traced packets of each color as they come in, by port and tunnel; these flows change nothing of them."""
    if not site.counting:
        return
    sources = {ofport for task in site.tasks for ofport in task.ofports(site.bridge.id)}
    inlets = inlet_ports(site)
    ports = sorted(sources | {port.ofport for port in inlets})
    for ofport, color in product(ports, site.colors):
        here = Match.of(exactly(IN_PORT, ofport), site.state.traced(color))
        counted = (*site.count(Gate.CAME, color), *apply(AGAIN))
        yield site.flow((site.tables.classify, TALLY), here, CookieKind.TALLY, counted)
    tunnels = (port for port in inlets if port.kind is PortKind.TUNNEL and port.remote is None)
    others = (vtep for vtep, node in site.scene.vteps.items() if node != site.bridge.id.node)
    for port, vtep, color in product(tunnels, others, site.colors):
        here = Match.of(exactly(IN_PORT, port.ofport), tunnel_source(vtep), site.state.traced(color))
        counted = (*site.count(Gate.CAME, color), *apply(AGAIN))
        yield site.flow((site.tables.classify, TALLY_FROM), here, CookieKind.TALLY, counted)


def listening_flows(site: Site) -> Iterator[FlowMod]:
    """Log what a source sends beside colored packets: fragments that may be of a filter, and questions for a neighbour.

    What was never sent may be waiting for the answer (idea N9). None of it is colored, all of it goes on as it came. It
    is nobody's in particular: tasks share ports.
    """
    if site.state.outlives_the_bridge or site.counting:
        return
    heard = dict.fromkeys(
        (ofport, kind, match)
        for task in site.tasks
        for ofport in sorted(task.ofports(site.bridge.id))
        for kind, match in _beside(task)
    )
    for ofport, kind, match in heard:
        here = match.with_fields(exactly(IN_PORT, ofport), site.state.unseen())
        log = site.book.arrival(_HEARD[kind], ENTRY_TABLE, ofport)
        for place in _listening_places(site, kind):
            yield site.flow(place, here, kind, apply(site.state.load(State()), *log, AGAIN))


def _beside(task: ArmedTask) -> Iterator[tuple[CookieKind, Match]]:
    yield CookieKind.ASKED, _QUESTIONS[task.filter.family]
    for match in () if task.fragments else source_fragments(task):
        yield CookieKind.FRAGMENT, match


def _listening_places(site: Site, kind: CookieKind) -> Iterator[tuple[int, int]]:
    """Questions name nothing that stands in a trie; where five-tuples are looked up aside, they may go there too."""
    if site.entrance.aside:
        yield site.tables.classify, HEARD
    if kind is CookieKind.ASKED or not site.entrance.aside:
        yield ENTRY_TABLE, LISTEN


def inlet_flows(site: Site) -> Iterator[FlowMod]:
    """Take marks off where marked packets arrive, and find the task by five-tuple.

    A marked packet that is no task's goes on exactly as it came. Where the state would outlive the bridge, such packets
    must never get any, so there the five-tuple is matched at once, one flow per mark.
    """
    ports = inlet_ports(site)
    if not ports:
        return
    if site.state.outlives_the_bridge:
        for mark in site.scene.marks.marks():
            yield from _arrivals(site, ports, mark)
        return
    look_up, unseen = Resubmit(None, site.tables.classify), site.state.unseen()
    families = tuple(exactly(ETH_TYPE, family) for family in site.families)
    for port in ports:
        here = exactly(IN_PORT, port.ofport)
        for family, mark in product(families, site.scene.marks.marks()):
            marked = Match.of(here, family, exactly(IP_DSCP, mark.code), unseen)
            for place, match, first in _layered(site, port, mark, marked):
                actions = apply(*first, site.state.load(_arrived(site, port, mark)), look_up)
                yield site.flow(place, match, CookieKind.MARK, actions)
    yield from _arrivals(site, ports, None)
    yield from _restorations(site, ports)
    foreign = site.book.arrival(ProbeKind.FOREIGN, site.tables.classify, None)
    yield site.flow((site.tables.classify, NO_TASK), Match(), CookieKind.FOREIGN, apply(*foreign, AGAIN))


def _layered(
    site: Site, port: Port, mark: Mark, marked: Match
) -> Iterator[tuple[tuple[int, int], Match, tuple[Action, ...]]]:
    """Where in the first table such packets of a port are met, and what begins there: isolation if production's has."""
    for layer in site.entrance.layers(port, mark.dscp):
        match = marked.meet(layer.match)
        if match is not None:
            yield (ENTRY_TABLE, TOP - layer.depth), match, (isolating(port.ofport),) if layer.isolated else ()


def _arrivals(site: Site, ports: tuple[Port, ...], mark: Mark | None) -> Iterator[FlowMod]:
    """One flow per port, task, five-tuple and VNI; in the private table, or in table 0 for one mark."""
    table_id = site.tables.classify if mark is None else ENTRY_TABLE
    for port, task, whole in _awaited(site, ports):
        log = site.book.arrival(ProbeKind.ARRIVED, table_id, port.ofport)
        if mark is None:
            actions = apply(site.state.adopt(task.slot), site.state.restore_dscp(), *log, _onward(site))
            yield site.flow((table_id, TASK), whole, CookieKind.CLASSIFY, actions, task.slot)
            continue
        marked = whole.with_fields(exactly(IP_DSCP, mark.code), site.state.unseen())
        adopted = site.state.load(_arrived(site, port, mark, task.slot)), site.state.restore_dscp()
        for place, layered, first in _layered(site, port, mark, marked):
            actions = apply(*first, *adopted, *log, _onward(site))
            yield site.flow(place, layered, CookieKind.CLASSIFY, actions, task.slot)


def _awaited(site: Site, ports: Iterable[Port]) -> Iterator[tuple[Port, ArmedTask, Match]]:
    """The packets of each task as they arrive at each port."""
    for port, task in product(ports, site.tasks):
        here = exactly(IN_PORT, port.ofport)
        for match, key in product(task_matches(task), tunnel_keys(port, task)):
            yield port, task, match.with_fields(here, *key)


def _restorations(site: Site, ports: Iterable[Port]) -> Iterator[FlowMod]:
    """Take marks off, and nothing else: what of a task meets a packet before it is classified, and after it was.

    A VFD that classifies sends packets on with marks, those too that a tenant forged; so others know these by then.
    """
    restored = apply(site.state.restore_dscp(), AGAIN)
    for _, _, whole in _awaited(site, ports):
        yield site.flow((site.tables.classify, RESTORED), whole, CookieKind.RESTORE, restored)


def _arrived(site: Site, port: Port, mark: Mark, slot: int | None = None) -> State:
    hop = mark.hop + 1
    code = site.scene.marks.code(hop, mark.dscp, mark.color)
    index = OUT_OF_TUNNEL if site.counting and port.kind is PortKind.TUNNEL else hop
    return State(traced=slot is not None, index=index, code=code, dscp=mark.dscp, slot=slot or 0, color=mark.color)


def _from_armed_vfd(site: Site, port: Port) -> bool:
    if port.kind is PortKind.PATCH:
        return peer_is_armed(site, port)
    if port.kind is not PortKind.TUNNEL:
        return False
    return leads_to_armed_vtep(site, port)
