"""Turns the flows of a table that has ``conjunction`` actions into an index that asks again for each one satisfied.

Source: ovs-fields(7), "Conjunctive Match Fields".
"""

from collections.abc import Iterable, Iterator

from vtrace_ovs.model.actions import ApplyActions, Conjunction, Note
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Entry, Lookup, looked_up, program
from vtrace_ovs.walker.gates import over
from vtrace_ovs.walker.index import TableIndex, by_mask


def indexed(table_id: int, flows: Iterable[Flow]) -> TableIndex:
    """The index of a table, with or without conjunctions."""
    hard: list[Flow] = []
    clauses: list[Flow] = []
    for flow in flows:
        (clauses if _is_clause(flow) else hard).append(flow)
    index = over(table_id, by_mask(hard))
    return ConjunctiveIndex(index, clauses) if clauses else index


class ConjunctiveIndex(TableIndex):
    """One flow table with conjunctions: ``levels`` are the flows that only satisfy them, in no subtable."""

    __slots__ = ("_hard", "levels")

    def __init__(self, hard: TableIndex, clauses: Iterable[Flow]) -> None:
        super().__init__(hard.table_id, hard.subtables)
        self._hard = hard
        self.levels = _levels(clauses)

    def search(self, packed: int, unknown: int) -> Lookup:
        """Ask again with ``conj_id`` set for each conjunction the packet satisfies above the hard match, best first.

        Source: ``classifier_lookup__()`` in ``lib/classifier.c``: a conjunction nothing matches on is passed over.
        """
        hard = self._hard.search(packed, unknown)
        floor = -1 if hard.certain is None else hard.certain.flow.priority
        for level in self.levels:
            if level.priority <= floor:
                break
            satisfied, undecided = level.satisfied(packed, unknown)
            if undecided:
                undecided = (*hard.undecided, *undecided)
                return looked_up(self.table_id, hard.certain, ambiguous=hard.ambiguous, undecided=undecided)
            found = [self._hard.search(packed | layout.placed("conj_id", number), unknown) for number in satisfied]
            best = [each for each in found if each.certain is not None or each.undecided]
            if best:
                several = best[0].ambiguous or any(each.certain is not best[0].certain for each in best)
                return looked_up(self.table_id, best[0].certain, ambiguous=several, undecided=best[0].undecided)
        return hard


_Clause = tuple[Entry, tuple[Conjunction, ...]]


class Level:
    """The clause flows of one priority: for each mask, by masked value, with their ``conjunction`` actions."""

    __slots__ = ("_by_mask", "priority")

    def __init__(self, priority: int, flows: Iterable[Flow]) -> None:
        self.priority = priority
        self._by_mask: dict[int, dict[int, list[_Clause]]] = {}
        for flow in flows:
            entry = Entry(flow, *layout.packed_match(flow.match.fields))
            conjunctions = tuple(each for each in program(flow.instructions) if isinstance(each, Conjunction))
            self._by_mask.setdefault(entry.mask, {}).setdefault(entry.value, []).append((entry, conjunctions))

    def satisfied(self, packed: int, unknown: int) -> tuple[tuple[int, ...], tuple[Entry, ...]]:
        """The conjunctions all of whose clauses match, or may match, and the flows that unknown bits keep open."""
        matched: dict[tuple[int, int], set[int]] = {}
        undecided = []
        for entry, conjunctions in self._matching(packed, unknown):
            if entry.mask & unknown:
                undecided.append(entry)
            for each in conjunctions:
                matched.setdefault((each.conjunction_id, each.n_clauses), set()).add(each.clause)
        complete = tuple(number for (number, wanted), clauses in matched.items() if len(clauses) == wanted)
        return complete, tuple(undecided) if complete else ()

    def _matching(self, packed: int, unknown: int) -> Iterator[_Clause]:
        for mask, by_value in self._by_mask.items():
            known = mask & ~unknown
            if known == mask:
                yield from by_value.get(packed & mask, ())
                continue
            for value, clauses in by_value.items():
                if not (value ^ packed) & known:
                    yield from clauses


def _levels(flows: Iterable[Flow]) -> tuple[Level, ...]:
    by_priority: dict[int, list[Flow]] = {}
    for flow in flows:
        by_priority.setdefault(flow.priority, []).append(flow)
    return tuple(Level(priority, by_priority[priority]) for priority in sorted(by_priority, reverse=True))


def _is_clause(flow: Flow) -> bool:
    """Whether a flow's only effect is ``conjunction(…)``: beside it OVS allows nothing but ``note``."""
    for instruction in flow.instructions:
        if isinstance(instruction, ApplyActions):
            for action in instruction.actions:
                if not isinstance(action, Note):
                    return isinstance(action, Conjunction)
    return False
