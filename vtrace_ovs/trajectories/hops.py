"""Turns a tree of visits into the hops of one Trajectory, the branch that counts most last."""

from collections.abc import Iterable
from typing import assert_never

from vtrace_ovs.model.actions import OFPP_CONTROLLER
from vtrace_ovs.model.construction import builder
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import ADDRESS_FIELDS, Headers
from vtrace_ovs.model.places import NOWHERE, Places
from vtrace_ovs.model.records import Loc, PacketInRecord, RecordMsg
from vtrace_ovs.model.topology import PortKind
from vtrace_ovs.model.trajectory import TO_CONTROLLER, DropShape, Ending, HeaderChange, Hop, Step
from vtrace_ovs.trajectories.visits import Branch, Visit

# Looking up an enum member and building a frozen object take their time on Python 3.11; both are done for every hop.
_LOC_ERROR = Loc.ERROR
_MSG_UNMARKED = RecordMsg.UNMARKED.value
_MSG_ASIDE = RecordMsg.ASIDE.value
_built_hop, _built_step, _built_change = builder(Hop), builder(Step), builder(HeaderChange)
_NOTHING: frozenset[Loc] = frozenset()
_IN = frozenset({Loc.IN})
_OUT = frozenset({Loc.OUT})
_ERROR = frozenset({Loc.ERROR})
_IN_OUT = _IN | _OUT
_IN_ERROR = _IN | _ERROR
_RANK = {
    Ending.UNKNOWN: 0,
    Ending.OPEN: 2,
    Ending.ON_WIRE: 3,
    Ending.LOOPED: 4,
    Ending.DROPPED: 5,
    Ending.EXITED: 6,
    Ending.HANDED_TO_PORT: 7,
}
_ARRIVED = (Ending.HANDED_TO_PORT, Ending.EXITED)
_TO_SOMEBODY_ELSE = 1
_SHORTEST_LOOP = 3

_NOTHING_SEEN = (Branch(None, None, None, NOWHERE),)
"""The way out of a visit that nothing is known to have left."""
Leg = tuple[Visit, Branch]
"""A visit and the branch it was left by."""
Way = list[Leg]
"""Legs from the root on; ways that part somewhere have what is before in common, as the same objects."""


def ways_of(root: Visit, places: Places) -> list[Way]:
    """All ways from a root to where a branch ends, the one that counts most last."""
    ways: list[Way] = []
    _collect(root, [], ways)
    if len(ways) > 1:
        ways.sort(key=lambda way: _rank(way, places))
    return ways


def hops_of(ways: Iterable[Way]) -> tuple[Hop, ...]:
    """All hops of the ways below a root, parents before children, every leaf with its ``ending``."""
    hops: list[Hop] = []
    placed: dict[int, int] = {}
    for way in ways:
        parent = None
        for leg in way:
            index = placed.setdefault(id(leg), len(hops))
            if index == len(hops):
                visit, branch = leg
                hops.append(_hop(visit, branch, parent, None if branch.children else _ending(way)))
            parent = index
    return tuple(hops)


def _collect(visit: Visit, before: Way, ways: list[Way]) -> None:
    for branch in visit.branches or _NOTHING_SEEN:
        way = [*before, (visit, branch)]
        if not branch.children:
            ways.append(way)
        for child in branch.children:
            _collect(child, way, ways)


def _ending(way: Way) -> Ending:
    branch = way[-1][1]
    if branch.record is None:
        ending = Ending.OPEN
    elif branch.is_drop or branch.is_suppressed:
        ending = Ending.DROPPED
    else:
        ending = _ending_behind(branch.onward.kind)
    if len(way) < _SHORTEST_LOOP or ending in _ARRIVED:
        return ending
    return Ending.LOOPED if _loops(way) else ending


def _ending_behind(kind: PortKind | None) -> Ending:
    match kind:
        case None:
            return Ending.UNKNOWN
        case PortKind.EDGE:
            return Ending.HANDED_TO_PORT
        case PortKind.LOCAL:
            return Ending.EXITED
        case PortKind.TUNNEL | PortKind.PATCH:
            return Ending.ON_WIRE
        case _:
            assert_never(kind)


def _loops(way: Way) -> bool:
    """A loop needs the same VFD, ingress port and header state again (trap T24); only the TTL may differ."""
    states: set[object] = set()
    for visit, _ in way:
        arrival = visit.arrival
        if arrival is None:
            continue
        headers = arrival.headers
        vni = None if visit.tunnel is None else visit.tunnel.vni
        state = (visit.bridge, visit.in_port, vni, headers.eth_src, headers.eth_dst, headers.five_tuple)
        if state in states:
            return True
        states.add(state)
    return False


def _rank(way: Way, places: Places) -> int:
    """How much a branch counts: reaching the addressee most, a copy for somebody else (a mirror) hardly."""
    ending = _ending(way)
    branch = way[-1][1]
    if ending is Ending.HANDED_TO_PORT and branch.record is not None:
        port = places.port(branch.record.bridge, branch.out_port)
        headers = branch.record.headers
        five_tuple = headers.five_tuple
        mine = None if port is None or five_tuple is None else port.owns(five_tuple.destination)
        if port is not None and (mine is not None or port.mac is not None):
            return _RANK[ending] + 1 if mine or headers.eth_dst == port.mac else _TO_SOMEBODY_ELSE
    return _RANK[ending]


def _hop(visit: Visit, branch: Branch, parent: int | None, ending: Ending | None) -> Hop:
    arrival, record = visit.arrival, branch.record
    headers_in = None if arrival is None else arrival.headers
    headers_out = None if record is None else record.headers
    msg = "" if record is None else record.msg
    if record is None:
        seen, drop = _NOTHING if arrival is None else _IN, None
    elif record.loc is not _LOC_ERROR:
        seen, drop = _OUT if arrival is None else _IN_OUT, None
    else:
        seen, drop = _ERROR if arrival is None else _IN_ERROR, _shape(record.flow)
    if msg and branch.is_suppressed:
        drop = DropShape.OUTPUT_TO_INGRESS
    changed: tuple[HeaderChange, ...] = ()
    if headers_in is not headers_out and headers_in is not None and headers_out is not None:
        changed = changes(headers_in, headers_out)
    # By place, not by name: it is done for every hop, and twenty names cost half a microsecond.
    return _built_hop(
        visit.bridge,
        visit.mark,
        visit.in_port,
        branch.out_port,
        parent,
        visit.tunnel,
        branch.tunnel,
        headers_in,
        headers_out,
        changed,
        () if record is None else _steps(record),
        seen,
        arrival is None and record is None,
        drop,
        None,
        (),
        None if arrival is None else arrival.timestamp,
        None if record is None else record.timestamp,
        ending,
        None,
        None,
        msg == _MSG_UNMARKED,
        msg == _MSG_ASIDE,
    )


def _steps(record: PacketInRecord) -> tuple[Step, ...]:
    flow = record.flow
    table_id = record.table_id if flow is None else flow.table_id
    if table_id is None:
        return ()
    out_port = record.out_port
    if record.loc is _LOC_ERROR:
        actions = "drop"
    elif out_port is None:
        actions = "output"
    else:
        actions = TO_CONTROLLER if out_port == OFPP_CONTROLLER else f"output:{out_port}"
    return (_built_step(table_id, flow, record.cookie, actions),)


def _shape(flow: FlowKey | None) -> DropShape:
    """How the flow of an ``error`` record dropped the packet."""
    if flow is None:
        return DropShape.NO_MATCH
    if flow.priority == 0 and not flow.match.fields:
        return DropShape.TABLE_MISS_FLOW
    return DropShape.EXPLICIT_DROP


def changes(before: Headers, after: Headers) -> tuple[HeaderChange, ...]:
    """The header fields one VFD rewrote. DSCP is left out: between VFDs it carries our mark."""
    found: list[HeaderChange] = []
    if before.eth_src != after.eth_src:
        found.append(_built_change("eth_src", before.eth_src, after.eth_src))
    if before.eth_dst != after.eth_dst:
        found.append(_built_change("eth_dst", before.eth_dst, after.eth_dst))
    if before.vlan_tci != after.vlan_tci:
        found.append(_built_change("vlan_tci", _text(before.vlan_tci), _text(after.vlan_tci)))
    if before.ttl != after.ttl:
        found.append(_built_change("nw_ttl", _text(before.ttl), _text(after.ttl)))
    mine, theirs = before.five_tuple, after.five_tuple
    if mine is not theirs and mine is not None and theirs is not None and mine != theirs:
        source, destination = ADDRESS_FIELDS[mine.family]
        for name, old, new in (
            (source, mine.source, theirs.source),
            (destination, mine.destination, theirs.destination),
            ("tp_src", mine.source_port, theirs.source_port),
            ("tp_dst", mine.destination_port, theirs.destination_port),
        ):
            if old != new:
                found.append(_built_change(name, _text(old), _text(new)))
    return tuple(found)


def _text(value: object) -> str:
    return "none" if value is None else str(value)
