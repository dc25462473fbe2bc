"""Turns one pass of a packet through a bridge's tables into a stack of frames, as deep as Open vSwitch allows.

Source: ``xlate_table_action()`` and ``xlate_resubmit_resource_check()`` in ``ofproto/ofproto-dpif-xlate.c`` (3.1).
"""

from dataclasses import dataclass
from enum import Enum, auto

from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.index import Operation
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.undecided import Undecided, Unknown, Unsupported, unknown_fields
from vtrace_ovs.walker.visit import Emission, Fork, Found, Stop

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


@dataclass(slots=True, eq=False)
class Frame:
    """A list of operations in progress: ``at`` is the next one, ``step`` the search whose flow they belong to."""

    operations: tuple[Operation, ...]
    table_id: int
    depth: int
    step: int
    end: End = End.NOTHING
    saved: PacketState | None = None
    at: int = 0


class Translation:
    """One pass through the tables, from entry or recirculation to the end of its actions."""

    def __init__(self, view: BridgeView, fork: Fork, length: int, ct_state: int | None, ct_mark: int | None) -> None:
        self.view = view
        self.state = fork.state
        self.length = length
        self.ct_state = ct_state
        self.ct_mark = ct_mark
        self.found = fork.found
        self.meters = fork.meters
        self.recirculations = fork.recirculations
        self.frames = [Frame((), fork.table_id, 0, 0, End.ACTION_SET)]
        self.emissions: list[Emission] = []
        self.stops: list[Stop] = []
        self.forks: list[Fork] = []
        self.resubmits = 0
        self.exiting = False
        self.ended = False
        self.punted = False
        self.search(fork.table_id, None, 0)

    def search(self, table_id: int, in_port: int | None, depth: int, shown: PacketState | None = None) -> None:
        """Search a table for the packet, or for ``shown`` in its place, and enter the flow that is found."""
        state = shown or self.state
        key = state.lookup_key(in_port)
        entry, ambiguous, undecided = self.view.table(table_id).search(key, state.unknown)
        self.found.append(Found(table_id, None if undecided else entry, ambiguous, key))
        if undecided:
            self.leave_open(unknown_fields(undecided, state.unknown), len(self.found) - 1)
        elif entry is None:
            self.stop(DropShape.NO_MATCH)
        else:
            self.resubmits += 1
            self.frames.append(Frame(entry.operations or entry.program, table_id, depth, len(self.found) - 1))

    def within_limits(self, frame: Frame) -> bool:
        """Whether one more search or group is allowed from here; if not, everything ends."""
        if frame.depth >= MAX_DEPTH:
            self.fail(DropShape.RECURSION_LIMIT)
        elif self.resubmits > MAX_RESUBMITS:
            self.fail(DropShape.RESUBMIT_LIMIT)
        else:
            return True
        return False

    def go(self, table_id: int, in_port: int | None, frame: Frame, shown: PacketState | None = None) -> None:
        """Search another table from a flow, if the limits allow it. Only a step back deepens the recursion."""
        if (frame.depth < MAX_DEPTH and self.resubmits <= MAX_RESUBMITS) or self.within_limits(frame):
            self.search(table_id, in_port, frame.depth + (table_id <= frame.table_id), shown)

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
            Stop(shape, self.state.copy(), tuple(self.found), at, tuple(self.meters), port, detail, note)
        )  # fmt: skip

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
