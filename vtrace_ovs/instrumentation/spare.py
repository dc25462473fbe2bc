"""Turns stored tables into what nobody uses there: a state field, private tables, meter ids.

A field counts as used as soon as any production flow or group mentions it: in a match, in an action this version
models, or anywhere in the wire bytes of any action (all actions name a field by its 4-byte OXM header).
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import chain

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.plan import PrivateMeters, PrivateTables
from vtrace_ovs.instrumentation.reach import group_targets, own_targets
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.instrumentation.walk import REMEMBERED, action_lists, every_action, nested
from vtrace_ovs.model.actions import (
    Action,
    CheckPacketLarger,
    Conntrack,
    Instruction,
    Learn,
    Move,
    OutputSubField,
    Pop,
    Push,
    SetField,
    UnknownAction,
    UnknownInstruction,
)
from vtrace_ovs.model.flow import Flow, GroupEntry, MeterEntry
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import CATALOGUE, PKT_MARK, REGISTERS, Field, SubField, components
from vtrace_ovs.model.wording import flow_text

HIGHEST_PRIVATE_TABLE = 253  # 254 is OVS's own, 255 means "all tables"
MAX_METER_ID = 0xFFFF
_NAMES = 3


def spare_field(
    flows: tuple[Flow, ...], groups: tuple[GroupEntry, ...], preferred: StateField | None = None
) -> StateField:
    """A 32-bit field no production flow uses: ``preferred``, else the highest such register, else ``pkt_mark``.

    Raises RefusedError naming flows in the way when there is none.
    """
    candidates = (*(() if preferred is None else (preferred.field,)), *reversed(REGISTERS), PKT_MARK)
    for candidate in candidates:
        if not any(_mentions(flow.match, flow.instructions, candidate) for flow in flows) and not any(
            _in_group(g, candidate) for g in groups
        ):
            return StateField(candidate)
    users = [flow_text(flow.key, flow.cookie) for flow in flows if _mentions(flow.match, flow.instructions, PKT_MARK)][
        :_NAMES
    ]
    raise RefusedError(
        "production flows use every register and pkt_mark, which leaves no room for trace state; pkt_mark is used by "
        + ("; ".join(users) or "a group")
    )


def spare_tables(
    flows: tuple[Flow, ...], groups: tuple[GroupEntry, ...], preferred: PrivateTables | None = None
) -> PrivateTables:
    """Three tables no production flow lives in or leads to, from 253 downward; ``preferred`` if still spare.

    Raises RefusedError when fewer than three are left.
    """
    taken = {
        0,
        *(flow.table_id for flow in flows),
        *chain.from_iterable(_leads_to(flow.instructions, flow.table_id) for flow in flows),
    }
    taken.update(target.table_id for group in groups for target in group_targets(group))
    if preferred is not None and not taken & {preferred.classify, preferred.leave, preferred.turn}:
        return preferred
    free = [table_id for table_id in range(HIGHEST_PRIVATE_TABLE, 0, -1) if table_id not in taken][:3]
    if len(free) < 3:  # noqa: PLR2004  one per field of PrivateTables
        raise RefusedError("fewer than three flow tables are unused on this bridge; trace state needs three of its own")
    return PrivateTables(*free)


def spare_meters(
    meters: tuple[MeterEntry, ...], preferred: PrivateMeters | None = None, needed: int = 2
) -> PrivateMeters:
    """So many meter ids above all others; ``preferred`` ones are ours already. Raises RefusedError above 65535."""
    if preferred is not None:
        return preferred
    highest = max((meter.meter_id for meter in meters), default=0)
    if highest + needed > MAX_METER_ID:
        raise RefusedError(f"meter {highest} leaves no meter ids up to {MAX_METER_ID} for us; renumber it")
    return PrivateMeters(highest + 1, highest + 2)


@lru_cache(maxsize=REMEMBERED)
def _leads_to(instructions: tuple[Instruction, ...], table_id: int) -> tuple[int, ...]:
    learnt = (action.table_id for action in every_action(instructions) if isinstance(action, Learn))
    return (*(target.table_id for target in own_targets(instructions, table_id)), *learnt)


@lru_cache(maxsize=REMEMBERED)
def _mentions(match: Match, instructions: tuple[Instruction, ...], candidate: Field) -> bool:
    if any(_is_part(masked.field, candidate) for masked in match.fields):
        return True
    unknown = (entry.raw for entry in instructions if isinstance(entry, UnknownInstruction))
    if any(not raw or _in_bytes(raw, candidate) for raw in unknown):
        return True
    return any(_in_actions(actions, raw, candidate) for actions, raw in action_lists(instructions))


def _in_actions(actions: tuple[Action, ...], raw: tuple[bytes, ...], candidate: Field) -> bool:
    if any(_in_bytes(wire, candidate) for wire in raw):
        return True
    whole = len(raw) == len(actions) and all(raw)
    for action in nested(actions):
        if isinstance(action, UnknownAction) and (not action.raw or _in_bytes(action.raw, candidate)):
            return True
        if isinstance(action, Learn) and not whole:
            return True  # a learn without its bytes may read or write anything
        if any(_is_part(used, candidate) for used in _fields_of(action)):
            return True
    return False


def _in_group(group: GroupEntry, candidate: Field) -> bool:
    if not group.raw:
        return any(_in_actions(bucket.actions, (), candidate) for bucket in group.buckets)
    return _in_bytes(group.raw, candidate)


def _fields_of(action: Action) -> Iterator[Field]:
    match action:
        case SetField(field=used):
            yield used
        case Move(source=source, destination=destination):
            yield source.field
            yield destination.field
        case Push(source=part) | Pop(destination=part) | OutputSubField(source=part):
            yield part.field
        case CheckPacketLarger(destination=part):
            yield part.field
        case Conntrack(zone=SubField() as part):
            yield part.field
        case _:
            return


def _is_part(used: Field, candidate: Field) -> bool:
    return used is candidate or any(part.field is candidate for _, part in components(used))


def _in_bytes(raw: bytes, candidate: Field) -> bool:
    return any(header in raw for header in _headers(candidate))


@cache
def _headers(candidate: Field) -> frozenset[bytes]:
    """Every OXM header, unmasked and masked, that names the field or one it is part of (OpenFlow 1.3.5 §7.2.3.2)."""
    whole = (
        candidate,
        *(entry for entry in CATALOGUE if any(part.field is candidate for _, part in components(entry))),
    )
    return frozenset(
        number.to_bytes(2, "big") + bytes([entry_field << 1 | masked, entry.n_bytes << masked])
        for entry in whole
        for number, entry_field in ((entry.oxm_class, entry.oxm_field), *entry.aliases)
        for masked in (0, 1)
    )
