"""Turns instructions into the action lists in them, and action lists into every action, however deep."""

from collections.abc import Iterable, Iterator

from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Clone,
    Conntrack,
    Group,
    Instruction,
    Output,
    OutputSubField,
    Resubmit,
    WriteActions,
)

REMEMBERED = 1 << 17
"""How many flows' instructions to remember what was found out about: tables are planned on again and again."""


def action_lists(instructions: Iterable[Instruction]) -> Iterator[tuple[tuple[Action, ...], tuple[bytes, ...]]]:
    """The actions of every apply-actions and write-actions instruction, with their wire forms."""
    for instruction in instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            yield instruction.actions, instruction.raw


def nested(actions: Iterable[Action]) -> Iterator[Action]:
    """Every action in order, those inside ``clone(...)`` and ``ct(...)`` right after the one that holds them."""
    for action in actions:
        yield action
        if isinstance(action, Clone | Conntrack):
            yield from nested(action.nested)


def every_action(instructions: Iterable[Instruction]) -> Iterator[Action]:
    """Every action of a flow, applied or written, however deep."""
    for actions, _ in action_lists(instructions):
        yield from nested(actions)


def lets_out(action: Action) -> bool:
    """Whether this very action may hand the packet to a port (apart from copies to a controller)."""
    return isinstance(action, Output | OutputSubField | Group)


def leads_on(action: Action) -> bool:
    """Whether this very action sends the packet to another table."""
    return isinstance(action, Resubmit) or (isinstance(action, Conntrack) and action.table_id is not None)
