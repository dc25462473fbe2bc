"""Turns a table of many masks into groups of subtables that share their addresses, and passes over whole groups.

A firewall has few masks over addresses, and for each of them many over protocols and ports. One lookup of the packet's
addresses among those of a group tells that none of its flows match. Open vSwitch spares the same lookups by its prefix
tries over ``nw_src`` and ``nw_dst`` and by staged lookup (``lib/classifier.c``).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry, Lookup, looked_up
from vtrace_ovs.walker.index import Subtable, TableIndex

_ADDRESSES = layout.bits_of("ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst")
_WORTH_IT = 3
"""So many subtables to a gate, on average, make up for asking the gates."""


class _Gate(NamedTuple):
    """A group of subtables: ``mask`` are the address bits they all match on, ``values`` those of any of their flows."""

    top: int
    mask: int
    values: frozenset[int]
    behind: TableIndex


class GatedIndex(TableIndex):
    """One flow table of many masks."""

    __slots__ = ("_gates",)

    def __init__(self, table_id: int, subtables: Sequence[Subtable], groups: Mapping[int, Sequence[Subtable]]) -> None:
        super().__init__(table_id, subtables)
        gates = (_gate(table_id, mask, group) for mask, group in groups.items())
        self._gates = tuple(sorted(gates, key=lambda gate: -gate.top))

    def search(self, packed: int, unknown: int) -> Lookup:
        """The flow of highest priority that a packet matches."""
        if self.tested & unknown:
            return super().search(packed, unknown)
        best: Entry | None = None
        ambiguous = False
        floor = -1
        for top, mask, values, behind in self._gates:
            if top < floor:
                break
            if packed & mask not in values:
                continue
            found = behind.search(packed, unknown)
            if found.certain is None:
                continue
            priority = found.certain.flow.priority
            if priority > floor:
                best, floor, ambiguous = found.certain, priority, found.ambiguous
            elif priority == floor:
                ambiguous = True
        return looked_up(self.table_id, best, ambiguous=ambiguous)


def over(table_id: int, subtables: Sequence[Subtable]) -> TableIndex:
    """The index over these subtables, with gates where they spare more lookups than they cost."""
    groups: dict[int, list[Subtable]] = {}
    for subtable in subtables:
        groups.setdefault(subtable.mask & _ADDRESSES, []).append(subtable)
    if len(subtables) < _WORTH_IT * len(groups) or len(groups) == 1:
        return TableIndex(table_id, subtables)
    return GatedIndex(table_id, subtables, groups)


def _gate(table_id: int, mask: int, group: Sequence[Subtable]) -> _Gate:
    values = frozenset([value & mask for subtable in group for value in subtable.entries])
    return _Gate(max(each.top for each in group), mask, values, TableIndex(table_id, group))
