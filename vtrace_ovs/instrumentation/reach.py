"""Turns stored tables and task filters into where a traced packet may come: compatible flows, reachable tables.

Every approximation here is on the safe side: a flow or table counts as reachable unless the tables prove otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, lets_out, nested
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Conntrack,
    GotoTable,
    Group,
    Instruction,
    Learn,
    Move,
    Nat,
    Pop,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
)
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    ETH_TYPE,
    ICMP_CODE,
    ICMP_TYPE,
    ICMPV6_CODE,
    ICMPV6_TYPE,
    IP_PROTO,
    IPV4_DST,
    IPV4_SRC,
    IPV6_DST,
    IPV6_SRC,
    TCP_DST,
    TCP_SRC,
    UDP_DST,
    UDP_SRC,
    Field,
    components,
)
from vtrace_ovs.model.packet import IpFamily, IpProtocol

ADDRESSES_AND_PORTS = frozenset({IPV4_SRC, IPV4_DST, IPV6_SRC, IPV6_DST, TCP_SRC, TCP_DST, UDP_SRC, UDP_DST})
FILTER_FIELDS = ADDRESSES_AND_PORTS | {ETH_TYPE, IP_PROTO, ICMP_TYPE, ICMP_CODE, ICMPV6_TYPE, ICMPV6_CODE}
_ADDRESSES = {IpFamily.IPV4: (IPV4_SRC, IPV4_DST), IpFamily.IPV6: (IPV6_SRC, IPV6_DST)}
_ICMP = {IpFamily.IPV4: (ICMP_TYPE, ICMP_CODE), IpFamily.IPV6: (ICMPV6_TYPE, ICMPV6_CODE)}


def exactly(field: Field, value: int) -> MaskedField:
    """The whole field has this value."""
    return MaskedField(field, value, field.full_mask)


def filter_match(task_filter: Filter) -> Match:
    """The packets of a filter as an OpenFlow match, prerequisites included."""
    fields = [exactly(ETH_TYPE, task_filter.family)]
    networks = (task_filter.source, task_filter.destination)
    for network, address in zip(networks, _ADDRESSES[task_filter.family], strict=True):
        if network is not None and network.prefixlen:
            fields.append(MaskedField(address, int(network.network_address), int(network.netmask)))
    source, destination = (TCP_SRC, TCP_DST) if task_filter.protocol == IpProtocol.TCP else (UDP_SRC, UDP_DST)
    icmp_type, icmp_code = _ICMP[task_filter.family]
    parts = (
        (IP_PROTO, task_filter.protocol),
        (source, task_filter.source_port),
        (destination, task_filter.destination_port),
        (icmp_type, task_filter.icmp_type),
        (icmp_code, task_filter.icmp_code),
    )
    return Match.of(*fields, *(exactly(field, value) for field, value in parts if value is not None))


@dataclass(frozen=True, slots=True)
class Target:
    """A table a flow sends packets to. ``last`` means that nothing after it can still let the packet out."""

    table_id: int
    last: bool


def targets(flow: Flow, groups: Mapping[int, GroupEntry]) -> tuple[Target, ...]:
    """Every table a flow leads to: resubmit, goto, ``ct(table=…)``, and what its groups lead to."""
    own = own_targets(flow.instructions, flow.table_id)
    found = [groups[number] for number in groups_of(flow.instructions) if number in groups]
    if not found:
        return own
    led = [target for group in found for target in group_targets(group)]
    if not _only_ends_in_a_group(flow.instructions):
        led = [replace(target, last=False) for target in led]
    return (*own, *led)


@lru_cache(maxsize=REMEMBERED)
def _only_ends_in_a_group(instructions: tuple[Instruction, ...]) -> bool:
    """Whether handing the packet to one group is the last thing a flow does, and the only one that lets it go on."""
    actions = tuple(every_action(instructions))
    going_on = [
        action
        for action in actions
        if lets_out(action) or _table_of(action, 0) is not None or isinstance(action, UnknownAction)
    ]
    busy = written(instructions) or any(isinstance(entry, GotoTable) for entry in instructions)
    return not busy and len(going_on) == 1 and isinstance(actions[-1], Group)


@lru_cache(maxsize=REMEMBERED)
def own_targets(instructions: tuple[Instruction, ...], table_id: int) -> tuple[Target, ...]:
    """Every table the flow's own instructions lead to; ``table_id`` is where the flow is."""
    found: list[Target] = []
    busy = any(lets_out(action) for action in written(instructions))
    for instruction in instructions:
        if isinstance(instruction, GotoTable):
            found.append(Target(instruction.table_id, not busy))
            busy = True
    for action in reversed(tuple(every_action(instructions))):
        led = _table_of(action, table_id)
        if led is not None:
            found.append(Target(led, not busy))
        busy = busy or led is not None or lets_out(action) or isinstance(action, UnknownAction)
    return tuple(found)


@lru_cache(maxsize=REMEMBERED)
def groups_of(instructions: tuple[Instruction, ...]) -> tuple[int, ...]:
    """The groups a flow hands packets to."""
    return tuple(action.group_id for action in every_action(instructions) if isinstance(action, Group))


def group_targets(group: GroupEntry) -> tuple[Target, ...]:
    """Every table the buckets of a group lead to. Of type ``all`` every bucket runs, so none of them is the last."""
    led = [target for bucket in group.buckets for target in own_targets((ApplyActions(bucket.actions),), 0)]
    return tuple(replace(target, last=target.last and group.type is not GroupType.ALL) for target in led)


def written(instructions: tuple[Instruction, ...]) -> tuple[Action, ...]:
    """Every action a flow adds to the action set."""
    lists = (entry.actions for entry in instructions if isinstance(entry, WriteActions))
    return tuple(action for actions in lists for action in nested(actions))


def _table_of(action: Action, current: int) -> int | None:
    if isinstance(action, Resubmit):
        return current if action.table_id is None else action.table_id
    return action.table_id if isinstance(action, Conntrack) else None


@dataclass(frozen=True, slots=True)
class Reach:
    """Where traced packets may come on one bridge.

    ``conclusive`` tables are those where a packet that gets no output has ended its trip: they are only ever entered
    as the last thing a flow does, with nothing in the action set. ``learned`` are table and priority of flows that any
    packet may add (``learn``).
    """

    flows: Mapping[int, tuple[Flow, ...]]
    conclusive: frozenset[int]
    learned: frozenset[tuple[int, int]] = frozenset()


def reach(flows: Iterable[Flow], groups: Mapping[int, GroupEntry], matches: Iterable[Match]) -> Reach:
    """The compatible flows of every table that traced packets of these filters may reach from table 0."""
    production = tuple(flows)
    constraints = _constraints(matches, _rewritable(production, groups))
    tables: dict[int, list[Flow]] = {}
    for flow in production:
        if any(_compatible(flow.match, constraint) for constraint in constraints):
            tables.setdefault(flow.table_id, []).append(flow)
    conclusive = _explore(tables, groups)
    return Reach(
        {table_id: tuple(tables.get(table_id, ())) for table_id in sorted(conclusive)},
        frozenset(table_id for table_id, last in conclusive.items() if last),
        frozenset(place for flow in production for place in _learns(flow.instructions)),
    )


@lru_cache(maxsize=REMEMBERED)
def _learns(instructions: tuple[Instruction, ...]) -> tuple[tuple[int, int], ...]:
    actions = every_action(instructions)
    return tuple((action.table_id, action.priority) for action in actions if isinstance(action, Learn))


def _explore(tables: Mapping[int, Iterable[Flow]], groups: Mapping[int, GroupEntry]) -> dict[int, bool]:
    """Reachable tables, and whether a dead end there is the packet's end."""
    found = {0: True}
    pending = [0]
    leads = {
        table_id: frozenset(target for flow in flows for target in targets(flow, groups))
        for table_id, flows in tables.items()
    }
    while pending:
        table_id = pending.pop()
        for target in leads.get(table_id, ()):
            last = target.last and found[table_id]
            if target.table_id not in found or (found[target.table_id] and not last):
                found[target.table_id] = last
                pending.append(target.table_id)
    return found


def _rewritable(flows: Iterable[Flow], groups: Mapping[int, GroupEntry]) -> frozenset[Field]:
    """The filter's fields that some action on the bridge may change, so that they tell nothing further on."""
    found: set[Field] = set()
    for flow in flows:
        found |= all_rewrites(flow.instructions)
    for group in groups.values():
        for bucket in group.buckets:
            for action in nested(bucket.actions):
                found |= rewrites(action)
    return frozenset(found) & FILTER_FIELDS


@lru_cache(maxsize=REMEMBERED)
def all_rewrites(instructions: tuple[Instruction, ...]) -> frozenset[Field]:
    """The fields a flow may change, as far as we understand it; all of a filter's when we do not."""
    unknown = any(isinstance(instruction, UnknownInstruction) for instruction in instructions)
    found = frozenset[Field]().union(*(rewrites(action) for action in every_action(instructions)))
    return found | FILTER_FIELDS if unknown else found


def rewrites(action: Action) -> frozenset[Field]:
    """The fields this very action may change, as far as we understand it; all of a filter's when we do not."""
    match action:
        case SetField(field=field):
            return _with_parts(field)
        case Move(destination=part) | Pop(destination=part):
            return _with_parts(part.field)
        case Nat():
            return ADDRESSES_AND_PORTS
        case UnknownAction() | Learn():
            return FILTER_FIELDS
        case _:
            return frozenset()


def _with_parts(field: Field) -> frozenset[Field]:
    return frozenset({field, *(part.field for _, part in components(field))})


def _constraints(matches: Iterable[Match], rewritable: frozenset[Field]) -> tuple[dict[Field, MaskedField], ...]:
    return tuple(
        {masked.field: masked for masked in match.fields if masked.field not in rewritable} for match in matches
    )


def _compatible(match: Match, constraint: Mapping[Field, MaskedField]) -> bool:
    for masked in match.fields:
        wanted = constraint.get(masked.field)
        if wanted is not None and (masked.value ^ wanted.value) & masked.mask & wanted.mask:
            return False
    return True
