"""Turns a table that stopped a packet into the flows that would have let it on but for a field or two."""

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice, takewhile

from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.notation import value_text
from vtrace_ovs.model.trajectory import NearMiss
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry
from vtrace_ovs.walker.index import TableIndex

MOST_DIFFERENCES = 3
SCANNED_WHOLE = 5000
"""In a larger table only flows one field away are looked for: those are found by hashing, in microseconds."""
_FAR = frozenset({"eth_type", "ip_proto", "in_port"})
"""A flow that differs in one of these is about packets of another kind, or from somebody else."""
_Candidate = tuple[tuple[int, int, int], int, Entry]


def near_misses(index: TableIndex, key: int, unknown: int, matched: Entry | None, wanted: int) -> tuple[NearMiss, ...]:
    """Up to ``wanted`` flows of the table that do something and would have won, fewest failing fields first.

    Only flows above the priority of ``matched`` count, and those of its very priority that match too, which come first.
    A flow for another protocol or ingress port is further away than one for another TCP port, and higher priority
    decides between equals.
    ``key`` is the packet as the search saw it.
    """
    if wanted <= 0:
        return ()
    floor = -1 if matched is None else matched.flow.priority
    ties = () if matched is None else tuple(_tied(index, key, unknown, matched))[:wanted]
    return (*ties, *_nearest(index, key, unknown, floor, wanted - len(ties)))


def _tied(index: TableIndex, key: int, unknown: int, matched: Entry) -> Iterator[NearMiss]:
    """The flows that match as well and have the same priority: OpenFlow leaves open which of them wins."""
    for subtable in index.subtables:
        found = None if subtable.mask & unknown else subtable.entries.get(key & subtable.mask)
        if found is not None and found is not matched and found.acts and found.flow.priority == matched.flow.priority:
            yield NearMiss(found.flow.key, found.flow.cookie, ())


def _nearest(index: TableIndex, key: int, unknown: int, floor: int, wanted: int) -> tuple[NearMiss, ...]:
    nearest = nsmallest(wanted, _ranked(_one_field_away(index, key, unknown, floor, wanted), key, unknown))
    if len(nearest) < wanted and sum(len(each.entries) for each in index.subtables) <= SCANNED_WHOLE:
        every = (entry for entry in index.entries() if entry.flow.priority > floor)
        nearest = nsmallest(wanted, _ranked(every, key, unknown))
    return tuple(NearMiss(e.flow.key, e.flow.cookie, _differences(e, key, unknown)) for _, _, e in nearest)


def _ranked(entries: Iterable[Entry], key: int, unknown: int) -> Iterator[_Candidate]:
    for order, entry in enumerate(entries):
        difference = (entry.value ^ key) & entry.mask & ~unknown
        failing = [
            masked.field.name in _FAR
            for masked in entry.flow.match.fields
            if difference & layout.packed_match((masked,))[1]
        ]
        if failing and len(failing) <= MOST_DIFFERENCES and entry.acts:
            yield (len(failing), sum(failing), -entry.flow.priority), order, entry


def _one_field_away(index: TableIndex, key: int, unknown: int, floor: int, wanted: int) -> Iterator[Entry]:
    """Flows above ``floor`` that differ in one field, by one hash lookup for each field of each mask.

    Those that differ in the same field of the same mask are equally near but for their priority: the best are enough.
    """
    for subtable in index.subtables:
        if subtable.top <= floor:
            return
        if subtable.mask & unknown:
            continue  # hashed values cannot leave unknown bits open; a table small enough is scanned anyway
        for masked in subtable.fields():
            bits = layout.packed_match((masked,))[1]
            alike = subtable.without(bits).get(key & subtable.mask & ~bits, ())
            above = takewhile(lambda entry: entry.flow.priority > floor, alike)
            yield from islice((e for e in above if e.acts and (e.value ^ key) & bits), wanted)


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
