"""Turns the flows of one table into a tuple space: one hash per distinct mask, searched by falling priority.

Source: Srinivasan, Suri, Varghese, "Packet Classification using Tuple Space Search", SIGCOMM 1999; OVS's own classifier
(``lib/classifier.c``) searches the same way, subtables ordered by their highest priority, stopping early.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vtrace_ovs.model.bulk import collector_paused
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry, Lookup, looked_up


@dataclass(slots=True, eq=False)
class Subtable:
    """All flows with one mask, by masked value: of several with one value only the first of highest priority.

    ``loosened`` finds them by their value without the bits of one field; it is made when near misses are asked for.
    """

    mask: int
    top: int
    entries: dict[int, Entry]
    loosened: dict[int, dict[int, list[Entry]]] = field(default_factory=dict)

    def fields(self) -> tuple[MaskedField, ...]:
        """The fields these flows match on, each with the mask they share (and one flow's value)."""
        return next(iter(self.entries.values())).flow.match.fields

    def without(self, bits: int) -> dict[int, list[Entry]]:
        """The best flow of each value, by the value without these bits; highest priority first."""
        found = self.loosened.get(bits)
        if found is None:
            found = self.loosened[bits] = {}
            for value, entry in self.entries.items():
                found.setdefault(value & ~bits, []).append(entry)
            for alike in found.values():
                alike.sort(key=_falling_priority)
        return found


class TableIndex:
    """One flow table without conjunctions, immutable after it is built. ``tested`` are the bits any flow matches on."""

    __slots__ = ("_nothing", "_probes", "subtables", "table_id", "tested")

    def __init__(self, table_id: int, subtables: Iterable[Subtable]) -> None:
        self.table_id = table_id
        self.subtables = tuple(sorted(subtables, key=lambda subtable: -subtable.top))
        self._probes = tuple((each.top, each.mask, each.entries.get) for each in self.subtables)
        self.tested = 0
        for subtable in self.subtables:
            self.tested |= subtable.mask
        self._nothing = looked_up(table_id, None)

    def entries(self) -> Iterator[Entry]:
        """Every flow of the table that some packet can find."""
        for subtable in self.subtables:
            yield from subtable.entries.values()

    def search(self, packed: int, unknown: int) -> Lookup:
        """The flow of highest priority that a packet matches."""
        if self.tested & unknown:
            return self._search_in_doubt(packed, unknown)
        best: Entry | None = None
        ambiguous = False
        floor = -1
        for top, mask, find in self._probes:
            if top < floor:
                break
            entry = find(packed & mask)
            if entry is None:
                continue
            priority = entry.flow.priority
            if priority > floor:
                best, floor, ambiguous = entry, priority, False
            elif priority == floor:
                ambiguous = True
        if best is None:
            return self._nothing
        return looked_up(self.table_id, best, ambiguous=True) if ambiguous else best.alone or best.lookup

    def _search_in_doubt(self, packed: int, unknown: int) -> Lookup:
        certain: list[Entry] = []
        possible: list[Entry] = []
        for subtable in self.subtables:
            known = subtable.mask & ~unknown
            if known == subtable.mask:
                entry = subtable.entries.get(packed & known)
                certain += () if entry is None else (entry,)
            else:
                possible += (entry for entry in subtable.entries.values() if not (entry.value ^ packed) & known)
        certain.sort(key=_falling_priority)
        best = certain[0] if certain else None
        floor = -1 if best is None else best.flow.priority
        ambiguous = len(certain) > 1 and certain[1].flow.priority == floor
        undecided = tuple(entry for entry in possible if entry.flow.priority > floor)
        return looked_up(self.table_id, best, ambiguous=ambiguous, undecided=undecided)


def by_mask(flows: Sequence[Flow]) -> list[Subtable]:
    """The flows of a table in one subtable for each distinct mask."""
    with collector_paused(len(flows)):
        return list(_by_mask(flows).values())


def _by_mask(flows: Iterable[Flow]) -> dict[int, Subtable]:
    by_mask: dict[int, Subtable] = {}
    for flow in flows:
        value, mask = layout.packed_match(flow.match.fields)
        subtable = by_mask.get(mask)
        if subtable is None:
            subtable = by_mask[mask] = Subtable(mask, flow.priority, {})
        elif flow.priority > subtable.top:
            subtable.top = flow.priority
        hidden = subtable.entries.get(value)
        if hidden is None or hidden.flow.priority < flow.priority:
            subtable.entries[value] = Entry(flow, value, mask)
    return by_mask


def _falling_priority(entry: Entry) -> int:
    return -entry.flow.priority
