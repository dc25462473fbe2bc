"""Turns one pass of a packet through a bridge's tables into a stack of frames, as deep as Open vSwitch allows.

Source: ``xlate_table_action()`` and ``xlate_resubmit_resource_check()`` in ``ofproto/ofproto-dpif-xlate.c`` (3.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.entry import Lookup, Operation
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.undecided import Undecided, Unknown, Unsupported, unknown_fields
from vtrace_ovs.walker.visit import Emission, Fork, Stop

MAX_DEPTH = 64
MAX_RESUBMITS = MAX_DEPTH * MAX_DEPTH


class End(Enum):
    """What happens when a frame has run all its operations.

    CLONE, BRANCH and BUCKET give the packet back as it was, the first two after running the action set. ``exit`` in a
    CLONE ends everything, in the other two only them.
    """

    NOTHING = auto()
    ACTION_SET = auto()
    CLONE = auto()
    BRANCH = auto()
    BUCKET = auto()


NOTHING = End.NOTHING  # looking up an enum member costs 0.15 µs on Python 3.11, and this is done for every flow
_ACTION_SET = End.ACTION_SET
_NO_OPERATIONS: Iterator[Operation] = iter(())


@dataclass(slots=True, eq=False)
class Frame:
    """A list of operations in progress: what is left of it, and ``step``, the search whose flow they belong to."""

    left: Iterator[Operation]
    table_id: int
    depth: int
    step: int
    end: End = NOTHING
    saved: PacketState | None = None


_OUTSIDE = Frame(_NO_OPERATIONS, -1, 0, 0)
"""Where a packet comes from that enters the first table: it has no flow yet, and no table is a step back."""


class Translation:
    """One pass through the tables, from entry or recirculation to the end of its actions."""

    def __init__(
        self,
        view: BridgeView,
        fork: Fork,
        length: int,
        ct_state: int | None,
        ct_mark: int | None,
        guide: Guide | None = None,
    ) -> None:
        self.view = view
        self.guide = guide
        self.state = fork.state
        self.length = length
        self.ct_state = ct_state
        self.ct_mark = ct_mark
        self.found = fork.found
        self.keys = fork.keys
        self.meters = fork.meters
        self.recirculations = fork.recirculations
        self.frames = [Frame(_NO_OPERATIONS, fork.table_id, 0, 0, _ACTION_SET)]
        self.emissions: list[Emission] = []
        self.stops: list[Stop] = []
        self.forks: list[Fork] = []
        self.resubmits = 0
        self.exiting = False
        self.ended = False
        self.punted = False

    def enter(self, table_id: int) -> None:
        """Search the first table of this pass, and enter the flow that is found."""
        self.go(table_id, _OUTSIDE)

    def within_limits(self, depth: int) -> bool:
        """Whether one more search or group is allowed from this depth; if not, everything ends."""
        if depth >= MAX_DEPTH:
            self.fail(DropShape.RECURSION_LIMIT)
        elif self.resubmits > MAX_RESUBMITS:
            self.fail(DropShape.RESUBMIT_LIMIT)
        else:
            return True
        return False

    def go(
        self,
        table_id: int,
        frame: Frame,
        *,
        last: bool = False,
        in_port: int | None = None,
        shown: PacketState | None = None,
    ) -> None:
        """Search another table from a flow, if the limits allow it, and enter the flow that is found.

        The packet is searched for, or ``shown`` in its place, as if it had come by ``in_port``. Only a step back
        deepens the recursion. A flow that only sends the packet on to another table is not entered: that is searched at
        once. ``last``: nothing of the frame is left, so that the flow found may take it over.
        """
        state = shown or self.state
        unknown = state.unknown
        key = state.lookup_key(in_port)
        found, keys, indexes = self.found, self.keys, self.view.indexes
        here, depth = frame.table_id, frame.depth
        while (depth < MAX_DEPTH and self.resubmits <= MAX_RESUBMITS) or self.within_limits(depth):
            lookup = indexes[table_id].search(key, unknown)
            found.append(lookup)
            keys.append(key)
            self.resubmits += 1  # a miss counts too: Open vSwitch enters a flow of its own then
            if lookup.undecided or lookup.certain is None:
                self._ended_by(lookup, unknown)
                return
            depth += table_id <= here
            here = table_id
            if lookup.onward is None:
                self._enter(lookup, here, depth, frame if last and frame.end is NOTHING else None)
                return
            table_id = lookup.onward
            if in_port is not None or shown is not None:  # those were for one search only
                in_port = shown = None
                key, unknown = self.state.lookup_key(), self.state.unknown

    def _enter(self, lookup: Lookup, table_id: int, depth: int, taken_over: Frame | None) -> None:
        left, step = iter(lookup.program), len(self.found) - 1
        if taken_over is None:
            self.frames.append(Frame(left, table_id, depth, step))
        else:
            taken_over.left, taken_over.table_id, taken_over.depth, taken_over.step = left, table_id, depth, step

    def _ended_by(self, lookup: Lookup, unknown: int) -> None:
        if lookup.undecided:
            self.leave_open(unknown_fields(lookup.undecided, unknown), len(self.found) - 1)
        else:
            self.stop(DropShape.NO_MATCH)

    def stop(
        self,
        shape: DropShape | None,
        *,
        step: int | None = None,
        port: int | None = None,
        detail: str | None = None,
        note: str | None = None,
    ) -> None:
        """Record why the packet, or one copy, goes no further; ``step`` None blames the last search."""
        at = len(self.found) - 1 if step is None else step
        self.stops.append(
            Stop(shape, self.state.copy(), tuple(self.found), at, self.keys[at], tuple(self.meters), port, detail, note)
        )

    def leave_open(self, why: Undecided, step: int) -> None:
        """End this pass: what was output before is certain, nothing after is."""
        match why:
            case Unsupported():
                self.stop(DropShape.UNSUPPORTED, step=step, detail=why.name, note=why.note)
            case Unknown():
                self.stop(None, step=step, detail=why.reason)
        self.frames.clear()
        self.ended = True

    def fail(self, shape: DropShape) -> None:
        """A translation limit: OVS then drops the packet and forgets the outputs it already had (tried)."""
        self.emissions.clear()
        self.stops.clear()
        self.forks.clear()
        self.stop(shape)
        self.frames.clear()
        self.ended = True
