"""Turns what we know of a packet inside one VFD into bits of one 32-bit field that production never reads or writes.

This file alone says which bit means what. OVS zeroes registers when a packet enters a bridge, so an untouched packet
has ``guard`` 0. ``pkt_mark`` is the last resort: it is visible to the host, so it is matched whole and emptied around
every output.
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from functools import lru_cache

from vtrace_ovs.model.actions import Action, Move, SetField
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import IP_DSCP, PKT_MARK, Field, SubField
from vtrace_ovs.model.task import MOST_TASKS


@dataclass(frozen=True, slots=True)
class BitRange:
    """A named range of bits of the state field."""

    offset: int
    width: int

    @property
    def mask(self) -> int:
        """The bits covered, in place."""
        return ((1 << self.width) - 1) << self.offset

    def of(self, word: int) -> int:
        """The value these bits hold in a state word."""
        return (word & self.mask) >> self.offset


GUARD = BitRange(0, 1)  # we have already looked at this packet on this visit to the bridge
TRACED = BitRange(1, 1)  # it belongs to a task
MARKED = BitRange(2, 1)  # the output being prepared leads to a VFD that will take the mark off again
INDEX = BitRange(3, 4)  # hop index: 1 is the VFD that colored it; where packets are counted, OUT_OF_TUNNEL or not
COLOR = BitRange(7, 1)  # which of the two colors it is counted by
CODE = BitRange(8, 6)  # the DSCP it leaves with toward the next VFD
DSCP = BitRange(14, 6)  # the DSCP the tenant gave it
SLOT = BitRange(20, (MOST_TASKS - 1).bit_length())  # the task
ALTERED = BitRange(29, 1)  # an action changed it in a way no match can see, so no mark may be put on

ALL = (
    GUARD.mask | TRACED.mask | MARKED.mask | INDEX.mask | COLOR.mask | CODE.mask | DSCP.mask | SLOT.mask | ALTERED.mask
)
SIGNATURE_MASK = 0b11 << 30
SIGNED = 0b10 << 30
"""In a field that packets may bring along (``pkt_mark``), ours is told from a host's own by these bits too."""
OUT_OF_TUNNEL = (1 << INDEX.width) - 1
"""The index of a counted packet that came into this VFD by a tunnel port."""


@quickly_built
@dataclass(frozen=True, slots=True)
class State:
    """What the state field says about a packet. ``code`` equals ``dscp`` when no mark is left for the next hop."""

    traced: bool = False
    marked: bool = False
    index: int = 0
    code: int = 0
    dscp: int = 0
    slot: int = 0
    color: int = 0

    @property
    def word(self) -> int:
        """The field's value; the guard bit is always set."""
        return (
            GUARD.mask
            | (self.traced << TRACED.offset)
            | (self.marked << MARKED.offset)
            | (self.index << INDEX.offset)
            | (self.color << COLOR.offset)
            | (self.code << CODE.offset)
            | (self.dscp << DSCP.offset)
            | (self.slot << SLOT.offset)
        )

    @staticmethod
    @lru_cache(maxsize=4096)  # a few words are in many copies
    def of(word: int) -> "State | None":
        """The state in a field's value, or None when we never looked at the packet."""
        if not GUARD.of(word):
            return None
        return State(
            traced=bool(TRACED.of(word)),
            marked=bool(MARKED.of(word)),
            index=INDEX.of(word),
            code=CODE.of(word),
            dscp=DSCP.of(word),
            slot=SLOT.of(word),
            color=COLOR.of(word),
        )


@dataclass(frozen=True, slots=True)
class StateField:
    """The field that holds the state on one bridge."""

    field: Field

    @property
    def outlives_the_bridge(self) -> bool:
        """Whether OVS carries the field out of the bridge, so that it must be emptied before every output."""
        return self.field is PKT_MARK

    def unseen(self) -> MaskedField:
        """Match packets we have not looked at on this visit."""
        return MaskedField(self.field, 0, self.field.full_mask if self.outlives_the_bridge else GUARD.mask)

    def traced(self, color: int | None = None) -> MaskedField:
        """Match packets of a task, of any color or of one."""
        if self.outlives_the_bridge:
            word = GUARD.mask | TRACED.mask
            return self._colored(word | SIGNED, word | SIGNATURE_MASK, color)
        return self._colored(TRACED.mask, TRACED.mask, color)

    def of_task(self, slot: int, color: int | None = None, index: int | None = None) -> MaskedField:
        """Match packets of one task whose headers are what they seem, of any color and index or of one."""
        ours = TRACED.mask | (slot << SLOT.offset) | ((index or 0) << INDEX.offset)
        looked_at = TRACED.mask | SLOT.mask | ALTERED.mask | (0 if index is None else INDEX.mask)
        return self._colored(ours, looked_at, color)

    def _colored(self, value: int, mask: int, color: int | None) -> MaskedField:
        if color is None:
            return MaskedField(self.field, value, mask)
        return MaskedField(self.field, value | (color << COLOR.offset), mask | COLOR.mask)

    def marked(self) -> MaskedField:
        """Match packets that are about to leave with a mark."""
        return MaskedField(self.field, MARKED.mask, MARKED.mask)

    def load(self, state: State) -> SetField:
        """Write the whole state."""
        if self.outlives_the_bridge:
            return SetField(self.field, state.word | SIGNED, ALL | SIGNATURE_MASK)
        return SetField(self.field, state.word, ALL)

    def without_marks(self, action: Action, known: Container[int]) -> Action:
        """The same action; one that loads a code not among the ``known`` loads the packet's own DSCP instead."""
        if not isinstance(action, SetField) or action.field is not self.field or action.mask & ALL != ALL:
            return action
        state = State.of(action.value)
        return action if state is None or state.code in known else self.load(replace(state, code=state.dscp))

    def adopt(self, slot: int) -> SetField:
        """Make the packet one of a task, keeping hop index, code and DSCP."""
        return SetField(self.field, TRACED.mask | (slot << SLOT.offset), TRACED.mask | SLOT.mask)

    def set_traced(self, *, traced: bool) -> SetField:
        """Take the packet out of its task's trace, or back into it."""
        return SetField(self.field, TRACED.mask if traced else 0, TRACED.mask)

    def set_marked(self, *, marked: bool) -> SetField:
        """Write whether the packet is about to leave with a mark."""
        return SetField(self.field, MARKED.mask if marked else 0, MARKED.mask)

    def set_altered(self) -> SetField:
        """Note that the packet is no longer what the flow tables take it for."""
        return SetField(self.field, ALTERED.mask, ALTERED.mask)

    def write_mark(self) -> Move:
        """Give the packet the code of the next hop as its DSCP. ECN is another field and stays."""
        return Move(SubField(self.field, CODE.offset, CODE.width), SubField(IP_DSCP, 0, IP_DSCP.width))

    def restore_dscp(self) -> Move:
        """Give the packet the tenant's own DSCP back."""
        return Move(SubField(self.field, DSCP.offset, DSCP.width), SubField(IP_DSCP, 0, IP_DSCP.width))
