"""Turns one operation of a flow into its effect on the packet and on the pass it belongs to.

Source: ``do_xlate_actions()`` in ``ofproto/ofproto-dpif-xlate.c`` of Open vSwitch 3.1.
"""

from collections.abc import Iterator
from typing import assert_never

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker import action_set, conntrack, groups, outputs
from vtrace_ovs.walker.entry import Go, Operation, Write
from vtrace_ovs.walker.state import PacketState, canonical_port
from vtrace_ovs.walker.translation import NOTHING, End, Frame, Translation
from vtrace_ovs.walker.undecided import Unknown, Unsupported
from vtrace_ovs.walker.visit import Fork

MAX_RECIRCULATIONS = 32
"""More than any pipeline needs; the userspace datapath itself stops after 6, the kernel's has no such number."""

_Edit = (
    act.SetField
    | act.Move
    | act.Push
    | act.Pop
    | act.PushVlan
    | act.PopVlan
    | act.PushMpls
    | act.PopMpls
    | act.SetTunnelId
    | act.ConntrackClear
    | act.WriteActions
    | act.ClearActions
)


_RUN_THE_SET = frozenset({End.ACTION_SET, End.CLONE, End.BRANCH})
_GIVE_BACK = frozenset({End.CLONE, End.BRANCH})


def translate(run: Translation) -> None:
    """Translate until nothing is left to do."""
    frames = run.frames
    while frames:
        frame = frames[-1]
        operation = None if run.exiting else next(frame.left, None)
        if operation is not None:
            execute(run, operation, frame)
        elif frame.end is NOTHING:
            frames.pop()
        else:
            _finish(run, frame)


def _finish(run: Translation, frame: Frame) -> None:
    if frame.end in _RUN_THE_SET and run.state.action_set and not run.exiting:
        frame.left = iter(action_set.ordered(run.state.action_set))
        frame.step = len(run.found) - 1
        run.state.action_set = []
        return
    run.frames.pop()
    if frame.saved is None:
        return
    if frame.end in _GIVE_BACK:
        run.state = frame.saved
    else:
        run.state.packed, run.state.unknown = frame.saved.packed, frame.saved.unknown
    if frame.end is not End.CLONE:
        run.exiting = False  # but clone(exit) ends the whole translation (tried)


def execute(run: Translation, operation: Operation, frame: Frame) -> None:  # noqa: C901, PLR0912  one arm per kind
    """Run one operation of the frame on top of the stack."""
    match operation:
        case Go():  # first, because pipelines are made of these three
            run.go(operation.table_id, frame, last=operation.last)
        case Write():
            run.state.packed = run.state.packed & operation.kept | operation.value
            run.state.unknown &= operation.kept
        case act.Output():
            outputs.output(run, operation, frame)
        case (
            act.SetField()
            | act.Move()
            | act.Push()
            | act.Pop()
            | act.PushVlan()
            | act.PopVlan()
            | act.PushMpls()
            | act.PopMpls()
            | act.SetTunnelId()
            | act.ConntrackClear()
            | act.WriteActions()
            | act.ClearActions()
        ):
            _edit(run, operation, frame)
        case act.Resubmit():
            _resubmit(run, operation, frame)
        case act.OutputSubField():
            outputs.output_sub_field(run, operation, frame)
        case act.Group():
            groups.process(run, operation.group_id, frame)
        case act.Conntrack():
            _track(run, operation, frame)
        case act.Clone():
            _branch(run, iter(operation.nested), frame, End.CLONE)
        case act.DecTtl():
            _expire(run, frame, alive=run.state.decrement_ttl())
        case act.DecMplsTtl():
            _expire(run, frame, alive=run.state.decrement_mpls_ttl())
        case act.CheckPacketLarger():
            _check_length(run, operation, frame)
        case act.Multipath():
            outputs.multipath(run, operation, frame)
        case act.Bundle():
            outputs.bundle(run, operation, frame)
        case act.Meter():
            run.meters.append(operation.meter_id)
        case act.Exit():
            run.exiting = True
        case act.Controller():
            run.punted = True
        case act.Learn() | act.Note() | act.Neutral() | act.Conjunction():
            pass
        case act.Nat():
            run.leave_open(Unsupported("nat"), frame.step)
        case act.UnknownAction() | act.UnknownInstruction():
            run.leave_open(Unsupported(operation.name), frame.step)
        case _:
            assert_never(operation)


def _edit(run: Translation, edit: _Edit, frame: Frame) -> None:
    state = run.state
    match edit:
        case act.SetField():
            state.set_masked(edit.field, edit.value, edit.mask)
        case act.Move():
            state.move(edit.source, edit.destination)
        case act.Push():
            state.push(edit.source)
        case act.Pop():
            state.pop(edit.destination)
        case act.PushVlan():
            state.push_vlan()
        case act.PopVlan():
            state.pop_vlan()
        case act.PushMpls() | act.PopMpls():
            edited = state.push_mpls(edit.eth_type) if isinstance(edit, act.PushMpls) else state.pop_mpls(edit.eth_type)
            if not edited:
                run.leave_open(Unsupported("MPLS labels beyond those Open vSwitch keeps"), frame.step)
        case act.SetTunnelId():
            state.set_tunnel_id(edit.tun_id)
        case act.ConntrackClear():
            state.clear_connection()
        case act.WriteActions():
            state.action_set.extend(edit.actions)
        case act.ClearActions():
            state.action_set.clear()
        case _:
            assert_never(edit)


def _branch(run: Translation, operations: Iterator[Operation], frame: Frame, end: End) -> None:
    run.frames.append(Frame(operations, frame.table_id, frame.depth, frame.step, end, run.state.copy()))


def _expire(run: Translation, frame: Frame, *, alive: bool) -> None:
    if not alive:
        run.stop(DropShape.TTL_EXCEEDED, step=frame.step)
        frame.left = iter(())  # ends this flow only; a caller's actions go on (tried)


def _check_length(run: Translation, action: act.CheckPacketLarger, frame: Frame) -> None:
    """OVS translates the rest of the flow for larger packets first, then for others, and forgets its edits (tried).

    The first branch runs and empties the action set, which the second then finds empty; its ``exit`` is everybody's,
    that of the second its own. Nothing else of the branch not taken reaches the packet, and where its ``exit`` may, the
    walk ends.
    """
    larger = run.length > action.length
    rest = tuple(frame.left)  # all of it: nothing may be left here, even where the branch itself ends early
    if not larger and run.view.exits and _may_exit(run, action, rest, frame):
        run.leave_open(Unsupported("exit in the branch of check_pkt_larger for larger packets"), frame.step)
        return
    _branch(run, iter(rest), frame, End.CLONE if larger else End.BRANCH)
    run.state.write(action.destination, int(larger))
    if not larger:
        run.state.action_set = []


def _may_exit(run: Translation, action: act.CheckPacketLarger, rest: tuple[Operation, ...], frame: Frame) -> bool:
    """Whether the branch for larger packets runs into ``exit``, or nobody knows."""
    fork = Fork(
        frame.table_id, run.state.copy(), run.found.copy(), run.keys.copy(), run.meters.copy(), run.recirculations
    )
    trial = Translation(run.view, fork, run.length, run.ct_state, run.ct_mark, run.guide)
    trial.resubmits = run.resubmits
    trial.frames = [Frame(iter(rest), frame.table_id, frame.depth, frame.step, End.CLONE, run.state.copy())]
    trial.state.write(action.destination, 1)
    translate(trial)
    return trial.exiting or trial.ended


def _resubmit(run: Translation, action: act.Resubmit, frame: Frame) -> None:
    table_id = frame.table_id if action.table_id is None else action.table_id
    in_port = None if action.in_port is None else canonical_port(action.in_port)
    if in_port == act.OFPP_IN_PORT:
        in_port = None
    if not action.with_conntrack:
        run.go(table_id, frame, in_port=in_port)
        return
    shown = run.state.with_original_tuple()
    if isinstance(shown, Unknown):
        run.leave_open(shown, frame.step)
    elif shown is not None:
        run.go(table_id, frame, in_port=in_port, shown=shown)


def _track(run: Translation, action: act.Conntrack, frame: Frame) -> None:
    outcome = conntrack.track(run.state, action, run.ct_state, run.ct_mark, run.guide)
    match outcome:
        case Unsupported() | Unknown():
            run.leave_open(outcome, frame.step)
        case PacketState() if action.table_id is not None and run.recirculations < MAX_RECIRCULATIONS:
            found, keys, meters = run.found.copy(), run.keys.copy(), run.meters.copy()
            run.forks.append(Fork(action.table_id, outcome, found, keys, meters, run.recirculations + 1))
        case PacketState():
            run.stop(DropShape.RECURSION_LIMIT, step=frame.step)
        case None:
            pass
        case _:
            assert_never(outcome)
