"""Turns a table that stopped a packet into the flows that would have let it on but for a field or two."""

from collections.abc import Iterator
from heapq import nsmallest

from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.notation import value_text
from vtrace_ovs.model.trajectory import NearMiss
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.index import Entry, TableIndex

MOST_DIFFERENCES = 3
_KINDS = frozenset({"eth_type", "ip_proto"})
_Candidate = tuple[tuple[int, int, int], int, Entry]


def near_misses(index: TableIndex, key: int, unknown: int, matched: Entry | None, wanted: int) -> tuple[NearMiss, ...]:
    """Up to ``wanted`` flows of the table that do something and would have won, fewest failing fields first.

    Only flows above the priority of ``matched`` count. A flow for another protocol is further away than one for
    another port, and higher priority breaks ties. ``key`` is the packet as the search saw it.
    """
    if wanted <= 0:
        return ()
    floor = -1 if matched is None else matched.flow.priority
    nearest = nsmallest(wanted, _candidates(index, key, unknown, floor))
    return tuple(NearMiss(e.flow.key, e.flow.cookie, _differences(e, key, unknown)) for _, _, e in nearest)


def _candidates(index: TableIndex, key: int, unknown: int, floor: int) -> Iterator[_Candidate]:
    order = 0
    for subtable in index.subtables:
        if subtable.top <= floor:
            return
        known = subtable.mask & ~unknown
        sample = next(iter(subtable.entries.values()))[0]
        fields = [
            (layout.packed_match((masked,))[1], masked.field.name in _KINDS) for masked in sample.flow.match.fields
        ]
        for value, entries in subtable.entries.items():
            entry = entries[0]
            difference = (value ^ key) & known
            failing = [kind for bits, kind in fields if difference & bits]
            if len(failing) <= MOST_DIFFERENCES and entry.flow.priority > floor and entry.program:
                order += 1
                yield (len(failing), sum(failing), -entry.flow.priority), order, entry


def _differences(entry: Entry, key: int, unknown: int) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (masked.field.name, _shown(masked), _shown(_had(masked, key)))
        for masked in entry.flow.match.fields
        if _fails(masked, key, unknown)
    )


def _fails(masked: MaskedField, key: int, unknown: int) -> bool:
    value, mask = layout.packed_match((masked,))
    return bool((value ^ key) & mask & ~unknown)


def _had(masked: MaskedField, key: int) -> MaskedField:
    """What the packet has in this field: all of it, or the matched bits of flags, where the others do not matter."""
    offset = layout.offset_of(masked.field) or 0
    mask = masked.mask if masked.field.name in {"ct_state", "tcp_flags"} else masked.field.full_mask
    return MaskedField(masked.field, key >> offset & mask, mask)


def _shown(masked: MaskedField) -> str:
    return value_text(masked.field, masked.value, masked.mask)
