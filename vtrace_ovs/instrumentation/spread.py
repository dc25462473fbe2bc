"""Turns where traffic enters and the tables read so far into the VFDs its packets may come to, and no others.

Only those are armed. What a VFD's tables leave open counts as everything behind its ports, so that the set may be too
large and never too small: NORMAL, floods, ports from registers, ``learn``, controllers, actions nobody here knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.instrumentation.destinations import tunnel_destinations
from vtrace_ovs.instrumentation.reach import FILTER_FIELDS, Reach, all_rewrites, groups_of, reach, rewrites
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, nested
from vtrace_ovs.model.actions import (
    OFPP_LOCAL,
    OFPP_MAX,
    Action,
    Bundle,
    Controller,
    Group,
    Instruction,
    Learn,
    Output,
    OutputSubField,
    PopMpls,
    PushMpls,
    UnknownAction,
    UnknownInstruction,
)
from vtrace_ovs.model.flow import BridgeTables, GroupEntry
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import Field
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.topology import Bridge, BridgeId, Port, PortKind, Topology

Known = dict[BridgeId, tuple[BridgeTables, tuple[Match, ...], "Step"]]
"""What was found out about VFDs: the tables and packets it is true of, and the step."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where one VFD may send such packets, and the fields of a filter that tell nothing of them from there on."""

    onward: frozenset[BridgeId]
    rewritten: frozenset[Field]


class Neighbourhood:
    """A topology's VFDs and what is behind their ports. Build it once per topology."""

    def __init__(self, topology: Topology) -> None:
        vfds = topology.vfds()
        self.topology = topology
        self.bridges = {bridge.id: bridge for bridge in vfds}
        self._tunnels: dict[str, frozenset[BridgeId]] = {}
        for bridge in vfds:
            if any(port.kind is PortKind.TUNNEL for port in bridge.ports):
                self._tunnels[bridge.id.node] = self._tunnels.get(bridge.id.node, frozenset()) | {bridge.id}
        self._anywhere = frozenset(chain.from_iterable(self._tunnels.values()))
        self._at_vtep = {
            vtep: self._tunnels.get(node.name, frozenset()) for node in topology.nodes for vtep in node.vteps
        }

    def behind(self, bridge: Bridge, port: Port, destinations: frozenset[IPAddress] | None) -> frozenset[BridgeId]:
        """The VFDs a packet may come to by this port, into tunnels to these destinations (None: any)."""
        if port.kind is PortKind.PATCH:
            peer = self.topology.patch_peer(bridge.id, port)
            return frozenset() if peer is None or peer[0].id not in self.bridges else frozenset({peer[0].id})
        if port.kind is not PortKind.TUNNEL:
            return frozenset()
        toward = destinations if port.remote is None else frozenset({port.remote})
        if toward is None:
            return self._anywhere
        return frozenset().union(*(self._at_vtep.get(vtep, frozenset()) for vtep in toward))


def spread(
    entries: Iterable[BridgeId],
    matches: Iterable[Match],
    tables: Mapping[BridgeId, BridgeTables],
    around: Neighbourhood,
    known: Known | None = None,
) -> frozenset[BridgeId]:
    """The VFDs that packets that look like this may come to from these. Those not in ``tables`` lead no further yet.

    ``known`` keeps what was found out about VFDs for the next call.
    """
    looks = tuple(matches)
    remembered = {} if known is None else known
    lost: dict[BridgeId, frozenset[Field]] = {entry: frozenset() for entry in entries if entry in around.bridges}
    pending = list(lost)
    while pending:
        here = pending.pop()
        if here not in tables:
            continue
        step = _remembered_step(around, here, tables[here], _without(looks, lost[here]), remembered)
        told_nothing = lost[here] | step.rewritten
        for onward in step.onward:
            before = lost.get(onward)
            if before is None or not told_nothing <= before:
                lost[onward] = told_nothing | (before or frozenset())
                pending.append(onward)
    return frozenset(lost)


def _without(matches: tuple[Match, ...], fields: frozenset[Field]) -> tuple[Match, ...]:
    """These packets, when what they have in some fields is not known."""
    if not fields:
        return matches
    left = (Match.of(*(masked for masked in match.fields if masked.field not in fields)) for match in matches)
    return tuple(dict.fromkeys(left))


def _remembered_step(
    around: Neighbourhood,
    here: BridgeId,
    tables: BridgeTables,
    matches: tuple[Match, ...],
    known: Known,
) -> Step:
    found = known.get(here)
    if found is not None and found[0] is tables and found[1] == matches:
        return found[2]
    step = step_from(around, here, tables, matches)
    known[here] = (tables, matches, step)
    return step


def step_from(around: Neighbourhood, here: BridgeId, tables: BridgeTables, matches: tuple[Match, ...]) -> Step:
    """Where the tables of one VFD may send packets that look like this."""
    bridge = around.bridges[here]
    groups = {group.group_id: group for group in tables.groups}
    reached = reach((flow for flow in tables.flows if not is_ours(flow.cookie)), groups, matches)
    found = [_done(flow.instructions) for flows in reached.flows.values() for flow in flows]
    found += [_done_by_group(groups[number]) for number in _groups(reached) if number in groups]
    if None in found:
        everywhere = (around.behind(bridge, port, None) for port in bridge.ports)
        return Step(frozenset[BridgeId]().union(*everywhere), FILTER_FIELDS)
    known = [done for done in found if done is not None]
    ports = frozenset[int]().union(*(done.ports for done in known))
    destinations = tunnel_destinations(reached, groups)
    leaving = (around.behind(bridge, port, destinations) for port in bridge.ports if port.ofport in ports)
    return Step(
        frozenset[BridgeId]().union(*leaving),
        frozenset[Field]().union(*(done.rewritten for done in known)) & FILTER_FIELDS,
    )


def _groups(reached: Reach) -> frozenset[int]:
    flows = chain.from_iterable(reached.flows.values())
    return frozenset(number for flow in flows for number in groups_of(flow.instructions))


@dataclass(frozen=True, slots=True)
class _Done:
    """The ports a flow or group outputs to, and the fields it rewrites."""

    ports: frozenset[int]
    rewritten: frozenset[Field]


@lru_cache(maxsize=REMEMBERED)
def _done(instructions: tuple[Instruction, ...]) -> _Done | None:
    """What a flow does itself; None when that is open."""
    ports = _ports(every_action(instructions))
    if ports is None or any(isinstance(instruction, UnknownInstruction) for instruction in instructions):
        return None
    return _Done(ports, all_rewrites(instructions))


def _done_by_group(group: GroupEntry) -> _Done | None:
    """What a group's buckets do; a group within a group is open."""
    actions = tuple(action for bucket in group.buckets for action in nested(bucket.actions))
    ports = _ports(actions)
    if ports is None or any(isinstance(action, Group) for action in actions):
        return None
    return _Done(ports, frozenset[Field]().union(*map(rewrites, actions)))


def _ports(actions: Iterable[Action]) -> frozenset[int] | None:
    """The ports these output to; None when it may be any, or what becomes of the packet is not known."""
    found: set[int] = set()
    for action in actions:
        match action:
            case Output(port=port):
                if port > OFPP_MAX and port != OFPP_LOCAL:
                    return None
                found.add(port)
            case Bundle(members=members, destination=None):
                found.update(members)
            case OutputSubField() | Controller() | Learn() | PushMpls() | PopMpls() | UnknownAction():
                return None
            case _:
                pass
    return frozenset(found)
