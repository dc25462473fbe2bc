"""Turns a flow into an Entry: what a search compares, and, from its first hit on, what a walk runs and tells of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vtrace_ovs.model.actions import Action as _Action
from vtrace_ovs.model.actions import (
    ApplyActions,
    ClearActions,
    GotoTable,
    Instruction,
    Meter,
    Resubmit,
    SetField,
    UnknownInstruction,
    WriteActions,
    WriteMetadata,
)
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.trajectory import Step
from vtrace_ovs.model.wording import instructions_text
from vtrace_ovs.walker import layout

_INSTRUCTION_ORDER = (Meter, ApplyActions, ClearActions, WriteActions, WriteMetadata, GotoTable, UnknownInstruction)


@dataclass(frozen=True, slots=True)
class Go:
    """``resubmit(,TABLE)`` and ``goto_table:TABLE``. ``last``: nothing of the flow comes after it."""

    table_id: int
    last: bool


@dataclass(frozen=True, slots=True)
class Write:
    """A constant for bits that every packet has: ``kept`` are all the others, ``value`` is in place."""

    kept: int
    value: int


Operation = _Action | WriteActions | ClearActions | UnknownInstruction | Go | Write
"""What one flow does, flattened: its applied actions and its other instructions."""


@dataclass(slots=True, eq=False)
class Entry:
    """A flow ready to be searched for. ``value`` and ``mask`` are its match over a packed packet.

    ``alone`` (``lookup``) is made on first use.
    """

    flow: Flow
    value: int
    mask: int
    alone: "Lookup | None" = None

    @property
    def lookup(self) -> "Lookup":
        """The search that found this flow and no other of its priority."""
        if self.alone is None:
            flow = self.flow
            step = Step(flow.table_id, flow.key, flow.cookie, instructions_text(flow.instructions))
            runs = program(flow.instructions)
            onward = runs[0].table_id if len(runs) == 1 and isinstance(runs[0], Go) else None
            self.alone = Lookup(step, self, runs, onward)
        return self.alone

    @property
    def acts(self) -> bool:
        """Whether the flow does anything at all."""
        return any(not isinstance(each, ApplyActions) or each.actions for each in self.flow.instructions)


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """The outcome of one table search, which ``step`` tells: ``program`` is what the flow found runs.

    ``onward`` is the table the flow sends the packet on to, where it does nothing else.
    ``certain`` is the best flow that matches for certain, ``undecided`` those of higher priority that unknown bits may
    or may not match. OpenFlow leaves equal priorities open: ``ambiguous``.
    """

    step: Step
    certain: Entry | None = None
    program: tuple[Operation, ...] = ()
    onward: int | None = None
    undecided: tuple[Entry, ...] = ()

    @property
    def entry(self) -> Entry | None:
        """The flow that was found; None when nothing matches, or when that is open."""
        return None if self.undecided else self.certain

    @property
    def table_id(self) -> int:
        """The table that was searched."""
        return self.step.table_id

    @property
    def ambiguous(self) -> bool:
        """Whether another flow of the same priority matches as well."""
        return self.step.ambiguous


def looked_up(
    table_id: int, certain: Entry | None, *, ambiguous: bool = False, undecided: tuple[Entry, ...] = ()
) -> Lookup:
    """The outcome of a search of one table."""
    if certain is None or undecided:
        return Lookup(Step(table_id, None, None, "", ambiguous), certain, undecided=undecided)
    if not ambiguous:
        return certain.lookup
    return replace(certain.lookup, step=replace(certain.lookup.step, ambiguous=True))


def program(instructions: tuple[Instruction, ...]) -> tuple[Operation, ...]:
    """The operations of a flow in the order OpenFlow runs its instructions (1.3.5 §5.9)."""
    found = list(_flattened(instructions))
    if found and isinstance(found[-1], Go):
        found[-1] = Go(found[-1].table_id, last=True)
    return tuple(found)


def _flattened(instructions: tuple[Instruction, ...]) -> Iterator[Operation]:
    for instruction in sorted(instructions, key=lambda each: _INSTRUCTION_ORDER.index(type(each))):
        match instruction:
            case ApplyActions():
                yield from map(_prepared, instruction.actions)
            case GotoTable():
                yield Go(instruction.table_id, last=False)
            case WriteMetadata():
                yield _write(layout.lowest_of("metadata"), instruction.value, instruction.mask)
            case _:
                yield instruction


def _prepared(action: _Action) -> Operation:
    """The two actions that pipelines are made of, in the form that runs fastest where they have it; any other as is."""
    if isinstance(action, Resubmit):
        plain = action.in_port is None and not action.with_conntrack
        return Go(action.table_id, last=False) if plain and action.table_id is not None else action
    if isinstance(action, SetField):
        lowest = layout.unconditional(action.field)
        return action if lowest is None else _write(lowest, action.value, action.mask)
    return action


def _write(lowest: int, value: int, mask: int) -> Write:
    return Write(layout.EVERYTHING & ~(mask << lowest), (value & mask) << lowest)
