"""Turns a production flow's instructions into the same instructions with our log and mark spliced in.

The flow's own bytes are never changed, dropped or reordered; ours stand between them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from vtrace_ovs.instrumentation.entrance import ENTRY_TABLE
from vtrace_ovs.instrumentation.outlets import leave, marking_ports, turn
from vtrace_ovs.instrumentation.probes import Egress, Log
from vtrace_ovs.instrumentation.reach import group_targets, written
from vtrace_ovs.instrumentation.site import Site, apply
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action, leads_on, lets_out, nested
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_MAX,
    Action,
    ApplyActions,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    Exit,
    GotoTable,
    Group,
    Instruction,
    Meter,
    Nat,
    Output,
    Pop,
    Push,
    Resubmit,
    SetField,
    UnknownAction,
    UnknownInstruction,
)
from vtrace_ovs.model.flow import Flow, GroupEntry
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.oxm import IN_PORT, PKT_MARK, SubField
from vtrace_ovs.model.topology import Port, PortKind


class Shape(Enum):
    """How a flow can end a packet's trip."""

    LETS_OUT = auto()
    TO_CONTROLLER = auto()
    LEADS_ON = auto()
    DEAD_END = auto()


class Passing(Enum):
    """What a flow that runs as it is, without our log, does with a traced packet at the most."""

    ON = auto()
    ENDS = auto()
    OUT = auto()


@dataclass(frozen=True, slots=True)
class Spliced:
    """A flow's instructions with ours in between; ``complete`` is false when a packet may end here without a copy."""

    instructions: tuple[Instruction, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Splicer:
    """Splices for one bridge."""

    site: Site
    groups: Mapping[int, GroupEntry]
    marking: tuple[Port, ...]

    @staticmethod
    def of(site: Site, groups: Mapping[int, GroupEntry]) -> "Splicer":
        """The splicer of a bridge with these groups."""
        return Splicer(site, groups, marking_ports(site))

    def splice(self, flow: Flow, *, conclusive: bool) -> Spliced:
        """The instructions of a flow's clone. ``conclusive``: a dead end here is the end of the packet's trip.

        Elsewhere only a plain drop is logged; a flow that does something and returns is a subroutine of the pipeline.
        """
        seen = _outline(flow.instructions)
        hidden = self._hidden(seen)
        shape, complete = self._shape(seen, hidden=hidden), not hidden
        if shape is Shape.TO_CONTROLLER:
            return Spliced(self._handed_over(flow, *self.site.book.outlet(flow, 0, Egress(OFPP_CONTROLLER))), complete)
        if self._runs_itself(flow, seen):
            return self._left_alone(flow, shape, conclusive=conclusive)
        if shape is Shape.DEAD_END:
            if conclusive or not any(True for _ in every_action(flow.instructions)):
                log = self.site.book.dead_end(flow, conclusive=conclusive)
                return Spliced(_first(log, flow.instructions), complete=True)
            return Spliced(flow.instructions, complete=True)
        if shape is Shape.LEADS_ON and not seen.alters_unseen:
            return Spliced(flow.instructions, complete)
        return Spliced(tuple(self._spliced(flow, shape)), complete)

    def passing(self, flow: Flow) -> Passing:
        """What becomes of a traced packet that hits the flow itself. To other tables it takes its state along."""
        seen = _outline(flow.instructions)
        hidden = self._hidden(seen)
        shape = self._shape(seen, hidden=hidden)
        if shape is Shape.LETS_OUT or seen.to_controller or seen.alters_unseen or hidden:
            return Passing.OUT
        return Passing.ON if shape is Shape.LEADS_ON else Passing.ENDS

    def _runs_itself(self, flow: Flow, seen: "_Outline") -> bool:
        """Whether nothing may stand in for a flow.

        A production controller may know its packet-ins by the flow's cookie. A flow that expires lives by the packets
        that hit it (``idle_timeout``), or must be gone for traced packets too when its time is up (``hard_timeout``).
        """
        left = flow.hard_timeout - flow.duration
        expires = flow.idle_timeout > 0 or (flow.hard_timeout > 0 and left < self.site.lifetimes.sinks)
        return expires or seen.told_by_cookie

    def _left_alone(self, flow: Flow, shape: Shape, *, conclusive: bool) -> Spliced:
        """The trace ends at such a flow; the rest of the packet's way is inferred."""
        book = self.site.book
        if shape is Shape.DEAD_END:
            drops = conclusive or not any(True for _ in every_action(flow.instructions))
            log = book.dead_end(flow, conclusive=conclusive) if drops else ()
            return Spliced(self._handed_over(flow, *log), complete=True)
        log = book.outlet(flow, 0, Egress()) if shape is Shape.LETS_OUT else ()
        return Spliced(self._handed_over(flow, *log), complete=False)

    def _handed_over(self, flow: Flow, *log: Action) -> tuple[Instruction, ...]:
        """Let the flow itself run: a production controller reads cookie and reason of the flow that sent a packet."""
        state = self.site.state
        again = Resubmit(None, flow.table_id)
        hide, show = self._hiding()
        if hide and flow.table_id != ENTRY_TABLE:  # there, a packet without any state would be colored again
            return apply(*log, *hide, again, *show)
        return apply(*log, state.set_traced(traced=False), again, state.set_traced(traced=True))

    def _spliced(self, flow: Flow, shape: Shape) -> Iterator[Instruction]:
        position = 0
        for instruction in flow.instructions:
            if not isinstance(instruction, ApplyActions):
                yield instruction
                continue
            actions: list[Action] = []
            raw: list[bytes] = []
            over = False
            for action, wire in zip(instruction.actions, _wires(instruction), strict=True):
                over = over or isinstance(action, Exit)
                before, after = ((), ()) if over else self._around(flow, position, action, shape)
                actions += (*before, action, *after)
                raw += (*(b"" for _ in before), wire, *(b"" for _ in after))
                position += 1
            yield ApplyActions(tuple(actions), tuple(raw))

    def _around(
        self, flow: Flow, position: int, action: Action, shape: Shape
    ) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
        """What goes before and after one action."""
        if _alters_unseen(action):
            return (), (self.site.state.set_altered(),)
        if shape is not Shape.LETS_OUT or not self._exit(action):
            return (), ()
        port, egress = self._egress(flow.match, action)
        log = self.site.book.outlet(flow, position, egress)
        hide, show = self._hiding()
        leaving: tuple[Action, ...] = log
        if port is not None and self.site.counting:
            leaving = (leave(self.site, port),)
        elif port is not None and port in self.marking:
            leaving = (leave(self.site, port), *log)
        if port is None or port not in self.marking:
            return (*leaving, *hide), show
        return (*leaving, turn(self.site), *hide), (*show, turn(self.site))

    def _hiding(self) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
        """Keep a state that outlives the bridge away from the output."""
        state = self.site.state
        if not state.outlives_the_bridge:
            return (), ()
        whole = SubField(PKT_MARK, 0, PKT_MARK.width)
        return (Push(whole), SetField(PKT_MARK, 0, PKT_MARK.full_mask)), (Pop(whole),)

    def _egress(self, match: Match, action: Action) -> tuple[Port | None, Egress]:
        if not isinstance(action, Output):
            return None, Egress()
        hairpin = action.port == OFPP_IN_PORT
        number: int | None = action.port
        if hairpin:
            came_by = match.get(IN_PORT)
            number = None if came_by is None else came_by.value
        if number is None or (number >= OFPP_MAX and number != OFPP_LOCAL):
            return None, Egress(hairpin=hairpin)
        if number == OFPP_LOCAL:
            return None, Egress(number, PortKind.LOCAL, hairpin)
        port = self.site.bridge.port(number)
        return port, Egress(number, None if port is None else port.kind, hairpin)

    def _shape(self, seen: "_Outline", *, hidden: bool) -> Shape:
        if seen.lets_out or any(self._exit(group) for group in seen.groups):
            return Shape.LETS_OUT
        if seen.leads_on or hidden:
            return Shape.LEADS_ON
        return Shape.TO_CONTROLLER if seen.to_controller else Shape.DEAD_END

    def _exit(self, action: Action) -> bool:
        """Whether an action hands the packet to a port. A group that leads to other tables does not, by itself."""
        if isinstance(action, Group):
            group = self.groups.get(action.group_id)
            return group is None or not group_targets(group)
        return lets_out(action) and not _to_controller(action)

    def _hidden(self, seen: "_Outline") -> bool:
        """Whether packets may leave where no log can be put: action set, nested lists, unknown actions."""
        return seen.hidden or any(self._leads_and_lets_out(group) for group in seen.groups)

    def _leads_and_lets_out(self, action: Group) -> bool:
        group = self.groups.get(action.group_id)
        if group is None or not group_targets(group):
            return False
        return any(lets_out(inner) for bucket in group.buckets for inner in nested(bucket.actions))


@dataclass(frozen=True, slots=True)
class _Outline:
    """What a flow's instructions say without its bridge's groups; ``groups`` are those it runs at its top level."""

    lets_out: bool
    leads_on: bool
    hidden: bool
    to_controller: bool
    told_by_cookie: bool
    alters_unseen: bool
    groups: tuple[Group, ...]


@lru_cache(maxsize=REMEMBERED)
def _outline(instructions: tuple[Instruction, ...]) -> _Outline:
    actions = tuple(every_action(instructions))
    top = tuple(_top_level(instructions))
    held = (action for outer in top if isinstance(outer, Clone | Conntrack) for action in nested(outer.nested))
    return _Outline(
        lets_out=any(lets_out(a) and not isinstance(a, Group) and not _to_controller(a) for a in top),
        leads_on=any(leads_on(action) or isinstance(action, Conjunction | Group) for action in actions)
        or any(isinstance(instruction, GotoTable) for instruction in instructions),
        hidden=any(lets_out(action) for action in (*written(instructions), *held))
        or any(isinstance(action, UnknownAction) for action in actions)
        or any(isinstance(instruction, UnknownInstruction) for instruction in instructions),
        to_controller=any(_to_controller(action) for action in actions),
        told_by_cookie=any(_told_by_cookie(action) for action in actions),
        alters_unseen=any(_alters_unseen(action) for action in actions),
        groups=tuple(action for action in top if isinstance(action, Group)),
    )


def _top_level(instructions: tuple[Instruction, ...]) -> Iterator[Action]:
    for instruction in instructions:
        if isinstance(instruction, ApplyActions):
            for action in instruction.actions:
                if isinstance(action, Exit):
                    return
                yield action


def _wires(instruction: ApplyActions) -> tuple[bytes, ...]:
    return instruction.raw or (b"",) * len(instruction.actions)


def _alters_unseen(action: Action) -> bool:
    """Whether the packet may differ from its flow afterwards: NAT without recirculation, and actions we do not know."""
    if isinstance(action, Conntrack):
        return action.table_id is None and any(_translates(inner) for inner in action.nested)
    return isinstance(action, UnknownAction)


def _translates(action: Action) -> bool:
    """Whether a ``nat`` changes addresses. With a side but no range it only moves a port that another connection has.

    OVN commits every connection so (ovs-actions(7), ``nat``); were that a change, none of its packets had a mark.
    """
    return isinstance(action, Nat) and (bool(action.range_text) or not (action.source or action.destination))


def _to_controller(action: Action) -> bool:
    return isinstance(action, Controller) or (isinstance(action, Output) and action.port == OFPP_CONTROLLER)


def _told_by_cookie(action: Action) -> bool:
    """Whether a production controller knows its packet-ins by the flow's cookie, for want of ``userdata``."""
    return _to_controller(action) and not (isinstance(action, Controller) and action.userdata)


def _first(log: Log, instructions: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """The instructions with a log before any action, but after a meter, which may have dropped the packet already."""
    if not log:
        return instructions
    ours = (b"",) * len(log)
    for at, instruction in enumerate(instructions):
        if isinstance(instruction, ApplyActions):
            whole = ApplyActions((*log, *instruction.actions), (*ours, *_wires(instruction)))
            return (*instructions[:at], whole, *instructions[at + 1 :])
    metered = tuple(entry for entry in instructions if isinstance(entry, Meter))
    return (*metered, ApplyActions(log, ours), *(entry for entry in instructions if entry not in metered))
