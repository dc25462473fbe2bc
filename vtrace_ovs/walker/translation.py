"""Turns one pass of a packet through a bridge's tables into a stack of frames, as deep as Open vSwitch allows.

Source: ``xlate_table_action()`` and ``xlate_resubmit_resource_check()`` in ``ofproto/ofproto-dpif-xlate.c`` (3.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.entry import Go, Operation
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import ANY_FRAGMENT, PacketState
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


@dataclass(slots=True, eq=False)
class Frame:
    """A list of operations in progress: what is left of it, and ``step``, the search whose flow they belong to."""

    left: Iterator[Operation]
    table_id: int
    depth: int
    step: int
    end: End = End.NOTHING
    saved: PacketState | None = None


class Translation:
    """One pass through the tables, from entry or recirculation to the end of its actions."""

    def __init__(self, view: BridgeView, fork: Fork, length: int, ct_state: int | None, ct_mark: int | None) -> None:
        self.view = view
        self.state = fork.state
        self.length = length
        self.ct_state = ct_state
        self.ct_mark = ct_mark
        self.found = fork.found
        self.keys = fork.keys
        self.meters = fork.meters
        self.recirculations = fork.recirculations
        into_the_first_table = Frame(iter((Go(fork.table_id, last=True),)), -1, 0, 0)
        self.frames = [Frame(iter(()), fork.table_id, 0, 0, End.ACTION_SET), into_the_first_table]
        self.emissions: list[Emission] = []
        self.stops: list[Stop] = []
        self.forks: list[Fork] = []
        self.resubmits = 0
        self.exiting = False
        self.ended = False
        self.punted = False

    def within_limits(self, frame: Frame) -> bool:
        """Whether one more search or group is allowed from here; if not, everything ends."""
        if frame.depth >= MAX_DEPTH:
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
        deepens the recursion. ``last``: nothing of the frame is left, so that the flow found may take it over.
        """
        if (frame.depth >= MAX_DEPTH or self.resubmits > MAX_RESUBMITS) and not self.within_limits(frame):
            return
        state = shown or self.state
        key = state.packed if in_port is None and not state.packed & ANY_FRAGMENT else state.lookup_key(in_port)
        lookup = self.view.indexes[table_id].search(key, state.unknown)
        step = len(self.found)
        self.found.append(lookup)
        self.keys.append(key)
        if lookup.undecided:
            self.leave_open(unknown_fields(lookup.undecided, state.unknown), step)
        elif lookup.certain is None:
            self.stop(DropShape.NO_MATCH)
        else:
            self.resubmits += 1
            depth = frame.depth + (table_id <= frame.table_id)
            if last and frame.end is End.NOTHING:
                frame.left, frame.table_id, frame.depth, frame.step = iter(lookup.program), table_id, depth, step
            else:
                self.frames.append(Frame(iter(lookup.program), table_id, depth, step))

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
