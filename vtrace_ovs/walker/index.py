"""Turns the flows of one table into a tuple space: one hash per distinct mask, searched by falling priority.

Source: Srinivasan, Suri, Varghese, "Packet Classification using Tuple Space Search", SIGCOMM 1999; OVS's own classifier
(``lib/classifier.c``) searches the same way, subtables ordered by their highest priority, stopping early.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vtrace_ovs.model.actions import Action as _Action
from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    Conjunction,
    GotoTable,
    Instruction,
    Meter,
    Note,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.bulk import collector_paused
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.trajectory import Step
from vtrace_ovs.model.wording import instructions_text
from vtrace_ovs.walker import layout

Operation = _Action | WriteActions | ClearActions | WriteMetadata | GotoTable | UnknownInstruction
"""What one flow does, flattened: its applied actions and its other instructions."""

_INSTRUCTION_ORDER = (Meter, ApplyActions, ClearActions, WriteActions, WriteMetadata, GotoTable, UnknownInstruction)


@dataclass(slots=True, eq=False)
class Entry:
    """A flow ready to be searched for and run.

    ``value`` and ``mask`` are its match over a packed packet; ``operations`` and ``told`` (``step``) are made on first
    use.
    """

    flow: Flow
    value: int
    mask: int
    operations: tuple[Operation, ...] | None = None
    told: Step | None = None

    @property
    def step(self) -> Step:
        """The lookup that found this flow and no other of its priority, made on first use."""
        if self.told is None:
            flow = self.flow
            self.told = Step(flow.table_id, flow.key, flow.cookie, instructions_text(flow.instructions))
        return self.told

    @property
    def program(self) -> tuple[Operation, ...]:
        """The flow's operations in the order OpenFlow runs its instructions (1.3.5 §5.9), made on first use."""
        if self.operations is None:
            self.operations = tuple(_flattened(self.flow.instructions))
        return self.operations


@dataclass(slots=True, eq=False)
class Subtable:
    """All flows with one mask: entries by masked value, highest priority first.

    ``loosened`` finds them by their value without the bits of one field; it is made when near misses are asked for.
    """

    mask: int
    top: int
    entries: dict[int, list[Entry]]
    loosened: dict[int, dict[int, list[Entry]]] = field(default_factory=dict)

    def fields(self) -> tuple[MaskedField, ...]:
        """The fields these flows match on, each with the mask they share (and one flow's value)."""
        return next(iter(self.entries.values()))[0].flow.match.fields

    def without(self, bits: int) -> dict[int, list[Entry]]:
        """The best flow of each value, by the value without these bits; highest priority first."""
        found = self.loosened.get(bits)
        if found is None:
            found = self.loosened[bits] = {}
            for value, entries in self.entries.items():
                found.setdefault(value & ~bits, []).append(entries[0])
            for alike in found.values():
                alike.sort(key=_falling_priority)
        return found


class Lookup(NamedTuple):
    """The outcome of one search. ``undecided`` are flows of higher priority that unknown bits may or may not match."""

    entry: Entry | None
    ambiguous: bool = False
    undecided: tuple[Entry, ...] = ()


class TableIndex:
    """One flow table, immutable after it is built.

    ``levels`` are the flows that only satisfy conjunctions (ovs-fields(7), "Conjunctive Match Fields").
    """

    __slots__ = ("_probes", "_tested", "levels", "subtables")

    def __init__(self, flows: Iterable[Flow]) -> None:
        with collector_paused():
            by_mask, clauses = _sorted_out(flows)
        for subtable in by_mask.values():
            for entries in subtable.entries.values():
                if len(entries) > 1:
                    entries.sort(key=_falling_priority)
        self.subtables = tuple(sorted(by_mask.values(), key=lambda subtable: -subtable.top))
        self._probes = tuple((each.top, each.mask, each.entries.get) for each in self.subtables)
        self._tested = 0
        for mask in by_mask:
            self._tested |= mask
        self.levels = _levels(clauses)

    def entries(self) -> Iterable[Entry]:
        """Every flow of the table."""
        for subtable in self.subtables:
            for entries in subtable.entries.values():
                yield from entries

    def search(self, packed: int, unknown: int) -> Lookup:
        """The flow of highest priority that a packet matches. OpenFlow leaves equal priorities open: ``ambiguous``."""
        if not self.levels and not self._tested & unknown:
            return self._search_known(packed)
        found = self._search(packed, unknown)
        return self._with_conjunctions(found, packed, unknown) if self.levels else found

    def _with_conjunctions(self, hard: Lookup, packed: int, unknown: int) -> Lookup:
        """Ask again with ``conj_id`` set for each conjunction the packet satisfies above ``hard``, best first.

        Source: ``classifier_lookup__()`` in ``lib/classifier.c``: a conjunction nothing matches on is passed over.
        """
        floor = -1 if hard.entry is None else hard.entry.flow.priority
        for level in self.levels:
            if level.priority <= floor:
                break
            satisfied, undecided = level.satisfied(packed, unknown)
            if undecided:
                return Lookup(hard.entry, hard.ambiguous, (*hard.undecided, *undecided))
            found = [self._search(packed | layout.placed("conj_id", number), unknown) for number in satisfied]
            best = [each for each in found if each.entry is not None or each.undecided]
            if best:
                several = any(each.entry is not best[0].entry for each in best)
                return Lookup(best[0].entry, best[0].ambiguous or several, best[0].undecided)
        return hard

    def _search(self, packed: int, unknown: int) -> Lookup:
        return self._search_in_doubt(packed, unknown) if self._tested & unknown else self._search_known(packed)

    def _search_known(self, packed: int) -> Lookup:
        best: Entry | None = None
        ambiguous = False
        floor = -1
        for top, mask, find in self._probes:
            if top < floor:
                break
            found = find(packed & mask)
            if found is None:
                continue
            priority = found[0].flow.priority
            if priority > floor:
                best, floor, ambiguous = found[0], priority, False
            elif priority == floor:
                ambiguous = True
        return Lookup(best, ambiguous)

    def _search_in_doubt(self, packed: int, unknown: int) -> Lookup:
        certain: list[Entry] = []
        possible: list[Entry] = []
        for subtable in self.subtables:
            known = subtable.mask & ~unknown
            if known == subtable.mask:
                certain.extend(subtable.entries.get(packed & known, ())[:1])
                continue
            for entries in subtable.entries.values():
                possible.extend(entry for entry in entries[:1] if not (entry.value ^ packed) & known)
        certain.sort(key=_falling_priority)
        best = certain[0] if certain else None
        floor = -1 if best is None else best.flow.priority
        ambiguous = len(certain) > 1 and certain[1].flow.priority == floor
        return Lookup(best, ambiguous, tuple(entry for entry in possible if entry.flow.priority > floor))


def _sorted_out(flows: Iterable[Flow]) -> tuple[dict[int, Subtable], list[Flow]]:
    """Flows by their mask, and those that are clauses of a conjunction."""
    by_mask: dict[int, Subtable] = {}
    clauses: list[Flow] = []
    for flow in flows:
        if _is_clause(flow):
            clauses.append(flow)
            continue
        value, mask = layout.packed_match(flow.match.fields)
        subtable = by_mask.get(mask)
        if subtable is None:
            subtable = by_mask[mask] = Subtable(mask, flow.priority, {})
        subtable.top = max(subtable.top, flow.priority)
        alike = subtable.entries.get(value)
        if alike is None:
            subtable.entries[value] = [Entry(flow, value, mask)]
        else:
            alike.append(Entry(flow, value, mask))
    return by_mask, clauses


_Clause = tuple[Entry, tuple[Conjunction, ...]]


class Level:
    """The clause flows of one priority: for each mask, by masked value, with their ``conjunction`` actions."""

    __slots__ = ("_by_mask", "priority")

    def __init__(self, priority: int, flows: Iterable[Flow]) -> None:
        self.priority = priority
        self._by_mask: dict[int, dict[int, list[_Clause]]] = {}
        for flow in flows:
            entry = Entry(flow, *layout.packed_match(flow.match.fields))
            conjunctions = tuple(each for each in entry.program if isinstance(each, Conjunction))
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


def _falling_priority(entry: Entry) -> int:
    return -entry.flow.priority


def _flattened(instructions: tuple[Instruction, ...]) -> Iterable[Operation]:
    for instruction in sorted(instructions, key=lambda each: _INSTRUCTION_ORDER.index(type(each))):
        if isinstance(instruction, ApplyActions):
            yield from instruction.actions
        else:
            yield instruction
