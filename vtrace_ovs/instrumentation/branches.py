"""Turns one VFD's tables and the look of packets in one of them into the tables and ports they may go on to.

What cannot be told makes more of it, never less: fields become unknown, and where even that does not help, packets of
any look leave by any port (``ANY_WAY``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from vtrace_ovs.instrumentation.cookies import is_ours
from vtrace_ovs.instrumentation.looks import NOTHING_KNOWN, Look
from vtrace_ovs.instrumentation.reach import ADDRESSES_AND_PORTS, rewrites
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, nested
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_MAX,
    Action,
    ApplyActions,
    Bundle,
    CheckPacketLarger,
    Clone,
    Conjunction,
    Conntrack,
    ConntrackClear,
    Controller,
    DecMplsTtl,
    DecTtl,
    GotoTable,
    Group,
    Instruction,
    Learn,
    Move,
    Multipath,
    Nat,
    Output,
    OutputSubField,
    Pop,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    Resubmit,
    SetField,
    SetTunnelId,
    UnknownAction,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.flow import BridgeTables, Flow
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import CATALOGUE, IN_PORT, METADATA, TUN_ID, VLAN_TCI, Field, components
from vtrace_ovs.model.oxm import field as field_named

DEEPEST = 8
"""Groups within groups are followed so deep, action lists within action lists are not deeper by themselves."""
CT_FIELDS = frozenset(entry for entry in CATALOGUE if entry.name.startswith("ct_"))


@dataclass(frozen=True, slots=True)
class Exit:
    """Packets that leave by a port; None: by any of the bridge's ports."""

    port: int | None
    look: Look


ANY_WAY = Exit(None, NOTHING_KNOWN)


@dataclass(frozen=True, slots=True)
class Onward:
    """Where packets go from one table: looks by table, and out."""

    tables: tuple[tuple[int, Look], ...]
    exits: tuple[Exit, ...]


class Pipeline:
    """One reading of a VFD's tables, without flows of ours, in order of priority."""

    def __init__(self, tables: BridgeTables) -> None:
        self.tables = tables
        self.groups = {group.group_id: group for group in tables.groups}
        self._flows: dict[int, list[tuple[Match, Flow]]] = {}
        written: set[Field] = set()
        for flow in tables.flows:
            if not is_ours(flow.cookie):
                self._flows.setdefault(flow.table_id, []).append((flow.match.taken_apart(), flow))
                written |= _written(flow.instructions)
        for group in tables.groups:
            written.update(*(_rewrites(action) for bucket in group.buckets for action in nested(bucket.actions)))
        self.written = frozenset(written)
        """Every field that a flow or group here may write."""
        for flows in self._flows.values():
            flows.sort(key=_first, reverse=True)

    def onward(self, table_id: int, look: Look) -> Onward:
        """Where packets of this look go from this table."""
        branches = _Branches(self)
        sure: int | None = None
        for match, flow in self._flows.get(table_id, ()):
            if sure is not None and flow.priority < sure:
                break
            if look.fits(match) and not _is_conjunctive(flow.instructions):
                branches.follow(flow, look.narrowed(match))
                if not flow.idle_timeout and not flow.hard_timeout and look.surely_fits(match):
                    sure = flow.priority
        return Onward(tuple(branches.tables), tuple(branches.exits))


def _first(entry: tuple[Match, Flow]) -> int:
    return entry[1].priority


@lru_cache(maxsize=REMEMBERED)
def _is_conjunctive(instructions: tuple[Instruction, ...]) -> bool:
    """Whether such a flow only says that part of a conjunction holds, and does nothing."""
    return any(isinstance(action, Conjunction) for action in every_action(instructions))


@lru_cache(maxsize=REMEMBERED)
def _written(instructions: tuple[Instruction, ...]) -> frozenset[Field]:
    metadata = {METADATA} if any(isinstance(entry, WriteMetadata) for entry in instructions) else set()
    return frozenset(metadata).union(*(_rewrites(action) for action in every_action(instructions)))


def _rewrites(action: Action) -> frozenset[Field]:
    match action:
        case SetField():
            return _apart(action.field)
        case Move() | Pop() | Multipath() | CheckPacketLarger():
            return _apart(action.destination.field)
        case Bundle(destination=part) if part is not None:
            return _apart(part.field)
        case Conntrack() | ConntrackClear():
            return CT_FIELDS
        case SetTunnelId():
            return frozenset({TUN_ID})
        case PushVlan() | PopVlan():
            return frozenset({VLAN_TCI})
        case DecTtl():
            return frozenset({field_named("nw_ttl")})
        case DecMplsTtl():
            return frozenset({field_named("mpls_ttl")})
        case _:
            return rewrites(action)


def _apart(whole: Field) -> frozenset[Field]:
    return frozenset(part.field for _, part in components(whole)) or frozenset({whole})


@dataclass(slots=True)
class _Branches:
    """The ways packets go from one table, collected flow by flow."""

    pipeline: Pipeline
    tables: list[tuple[int, Look]] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)

    def follow(self, flow: Flow, look: Look) -> None:
        """Do what a flow does."""
        goto: int | None = None
        for instruction in flow.instructions:
            match instruction:
                case ApplyActions(actions=actions):
                    look = self._act(actions, look, flow.table_id)
                case WriteActions(actions=actions):
                    self._act(actions, look.without(self.pipeline.written), flow.table_id)
                case WriteMetadata(value=value, mask=mask):
                    look = look.written(METADATA, value, mask)
                case GotoTable(table_id=table_id):
                    goto = table_id
                case UnknownInstruction():
                    self.exits.append(ANY_WAY)
                case _:
                    pass
        if goto is not None:
            self.tables.append((goto, look))

    def _act(self, actions: Iterable[Action], look: Look, table_id: int, depth: int = 0) -> Look:
        """Run a list of actions; the packets as they are behind it."""
        for action in actions:
            look = self._one(action, look, table_id, depth)
        return look

    def _one(self, action: Action, look: Look, table_id: int, depth: int) -> Look:
        match action:
            case SetField(field=whole, value=value, mask=mask):
                return look.written(whole, value, mask)
            case Move(source=source, destination=destination):
                return look.copied(source, destination)
            case SetTunnelId(tun_id=tun_id):
                return look.written(TUN_ID, tun_id, TUN_ID.full_mask)
            case Output(port=port):
                self._output(port, look)
            case OutputSubField(source=source):
                value, mask = look.part(source)
                self._output(value if mask == (1 << source.width) - 1 else None, look)
            case Bundle(members=members, destination=None):
                for member in members:
                    self._output(member, look)
            case Resubmit(in_port=in_port, table_id=table):
                there = look if in_port is None else look.written(IN_PORT, in_port, IN_PORT.full_mask)
                self.tables.append((table_id if table is None else table, there))
                return look.without(self.pipeline.written)
            case Conntrack(table_id=table, nested=inner):
                translated = ADDRESSES_AND_PORTS if any(isinstance(one, Nat) for one in inner) else frozenset[Field]()
                look = look.without(CT_FIELDS | translated)
                if table is not None:
                    self.tables.append((table, look))
            case Clone(nested=inner):
                self._act(inner, look, table_id, depth)
            case Group(group_id=number):
                self._group(number, look, table_id, depth)
            case Controller() | Learn() | PushMpls() | PopMpls() | UnknownAction():
                self.exits.append(ANY_WAY)
                return NOTHING_KNOWN
            case _:
                return look.without(_rewrites(action))
        return look

    def _group(self, number: int, look: Look, table_id: int, depth: int) -> None:
        group = self.pipeline.groups.get(number)
        if depth >= DEEPEST:
            self.exits.append(ANY_WAY)
            return
        for bucket in () if group is None else group.buckets:
            self._act(bucket.actions, look, table_id, depth + 1)

    def _output(self, port: int | None, look: Look) -> None:
        here = look.whole(IN_PORT)
        if port == OFPP_CONTROLLER:
            self.exits.append(ANY_WAY)
        elif port is None or (port > OFPP_MAX and port not in (OFPP_LOCAL, OFPP_IN_PORT)):
            self.exits.append(Exit(None, look.without({VLAN_TCI})))
        elif port == OFPP_IN_PORT:
            self.exits.append(Exit(here, look))
        elif port != here:
            self.exits.append(Exit(port, look))
