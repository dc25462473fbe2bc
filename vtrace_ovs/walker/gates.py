"""Turns a table of many masks into groups of subtables that share their addresses, and passes over whole groups.

A firewall has few masks over addresses, and for each of them many over protocols and ports. One lookup of the packet's
addresses among those of a group tells that none of its flows match; one lookup of a prefix of one address tells it of
most groups at once. Open vSwitch spares the same lookups by its prefix tries over ``nw_src`` and ``nw_dst`` and by
staged lookup (``lib/classifier.c``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry, Lookup, looked_up
from vtrace_ovs.walker.index import Subtable, TableIndex

_EACH_ADDRESS = tuple(map(layout.bits_of, ("ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst")))
_ADDRESSES = sum(_EACH_ADDRESS)
_WORTH_IT = 3
"""So many subtables to a gate, or gates to a signpost, on average, make up for asking it."""


class _Gate(NamedTuple):
    """A group of subtables: ``mask`` are the address bits they all match on, ``values`` those of any of their flows."""

    top: int
    mask: int
    values: frozenset[int]
    behind: TableIndex


class _Signpost(NamedTuple):
    """Which gates (bit n: the n-th) a prefix of one address may pass: those of ``ways``, else ``otherwise``."""

    mask: int
    otherwise: int
    ways: dict[int, int]


class GatedIndex(TableIndex):
    """One flow table of many masks."""

    __slots__ = ("_gates", "_signposts")

    def __init__(self, table_id: int, subtables: Sequence[Subtable], groups: Mapping[int, Sequence[Subtable]]) -> None:
        super().__init__(table_id, subtables)
        gates = (_gate(table_id, mask, group) for mask, group in groups.items())
        self._gates = tuple(sorted(gates, key=lambda gate: -gate.top))
        self._signposts = tuple((post.mask, post.otherwise, post.ways.get) for post in _signposts(self._gates))

    def search(self, packed: int, unknown: int) -> Lookup:
        """The flow of highest priority that a packet matches."""
        if self.tested & unknown:
            return super().search(packed, unknown)
        gates = self._gates
        ahead = (1 << len(gates)) - 1
        for mask, otherwise, find in self._signposts:
            ahead &= find(packed & mask, otherwise)
        best: Entry | None = None
        ambiguous = False
        floor = -1
        while ahead:
            nearest = ahead & -ahead
            ahead ^= nearest
            top, mask, values, behind = gates[nearest.bit_length() - 1]
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


def _signposts(gates: Sequence[_Gate]) -> Iterator[_Signpost]:
    """For each address the prefix that keeps the most gates away from most packets, if they are enough."""
    for address in _EACH_ADDRESS:
        prefixes = {gate.mask & address for gate in gates} - {0}
        spreads = [_Spread.of(prefix, gates) for prefix in prefixes]
        best = min(spreads, key=_Spread.left, default=None)
        if best is not None and len(gates) - best.left() >= _WORTH_IT:
            yield best.signpost()


class _Spread(NamedTuple):
    """The values of a prefix behind each gate that asks for it; bit n of ``otherwise``: the n-th does not ask."""

    prefix: int
    otherwise: int
    values: dict[int, set[int]]

    @staticmethod
    def of(prefix: int, gates: Sequence[_Gate]) -> "_Spread":
        asking = {number: gate for number, gate in enumerate(gates) if gate.mask & prefix == prefix}
        otherwise = sum(1 << number for number in range(len(gates)) if number not in asking)
        values = {number: {value & prefix for value in gate.values} for number, gate in asking.items()}
        return _Spread(prefix, otherwise, values)

    def left(self) -> float:
        """How many gates a packet has left to ask, on average over the values there are."""
        several = set().union(*self.values.values())
        return self.otherwise.bit_count() + sum(map(len, self.values.values())) / len(several)

    def signpost(self) -> _Signpost:
        ways: dict[int, int] = {}
        for number, values in self.values.items():
            for value in values:
                ways[value] = ways.get(value, self.otherwise) | 1 << number
        return _Signpost(self.prefix, self.otherwise, ways)
