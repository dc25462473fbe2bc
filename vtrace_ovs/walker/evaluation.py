"""Turns one packet at one bridge into what the bridge does with it: the lookups, the outputs, and what stopped it.

Source: ``ofproto/ofproto-dpif-xlate.c`` of Open vSwitch 3.1; every rule here is held against ``ofproto/trace`` by
``tests/functional/test_walker_differential.py``. Translation runs on a stack of frames, as deep as OVS allows.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Bucket, GroupType
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker import action_set, conntrack
from vtrace_ovs.walker.index import Entry, Operation
from vtrace_ovs.walker.network import BridgeView, PortState
from vtrace_ovs.walker.state import PacketState, canonical_port
from vtrace_ovs.walker.undecided import Undecided, Unknown, Unsupported, unknown_fields
from vtrace_ovs.walker.visit import Emission, Fork, Found, Stop, Visit

MAX_DEPTH = 64
MAX_RESUBMITS = MAX_DEPTH * MAX_DEPTH
MAX_RECIRCULATIONS = 32
"""More than any pipeline needs; the userspace datapath itself stops after 6, the kernel's has no such number."""
MAX_PASSES = 256
_SIXTEEN_BITS = 0xFFFF
_SPECIAL_PORTS = {act.OFPP_NORMAL: "NORMAL", act.OFPP_FLOOD: "FLOOD", act.OFPP_ALL: "ALL"}


class _End(Enum):
    """What happens when a frame has run all its operations."""

    NOTHING = auto()
    ACTION_SET = auto()
    CLONE = auto()
    BUCKET = auto()


@dataclass(slots=True, eq=False)
class _Frame:
    operations: tuple[Operation, ...]
    table_id: int
    depth: int
    step: int
    end: _End = _End.NOTHING
    saved: PacketState | None = None
    at: int = 0


def evaluate(view: BridgeView, state: PacketState, length: int, ct_state: int | None) -> Visit:
    """Translate a packet at table 0 of a bridge. ``state`` is consumed.

    ``length`` is the frame's length in bytes; ``ct_state`` is what connection tracking says of the packet, None when
    nobody knows: then a packet that would recirculate through ``ct`` stops there, undecided.
    """
    forks = [Fork(0, state)]
    emissions: list[Emission] = []
    stops: list[Stop] = []
    searches: list[Found] = []
    passes = 0
    while forks and passes < MAX_PASSES:
        passes += 1
        fork = forks.pop(0)
        before = len(fork.found)
        translation = _Translation(view, fork, length, ct_state)
        translation.run()
        searches += translation.found[before:]
        emissions += translation.emissions
        stops += translation.stops
        forks += translation.forks
    stops += (_given_up(fork) for fork in forks)
    return Visit(tuple(emissions), tuple(stops), tuple(searches))


class _Translation:
    """One pass through the tables, from entry or recirculation to the end of its actions."""

    def __init__(self, view: BridgeView, fork: Fork, length: int, ct_state: int | None) -> None:
        self.view = view
        self.state = fork.state
        self.first_table = fork.table_id
        self.length = length
        self.ct_state = ct_state
        self.found = fork.found
        self.meters = fork.meters
        self.recirculations = fork.recirculations
        self.frames: list[_Frame] = []
        self.emissions: list[Emission] = []
        self.stops: list[Stop] = []
        self.forks: list[Fork] = []
        self.resubmits = 0
        self.exiting = False
        self.ended = False
        self.punted = False

    def run(self) -> None:
        """Translate until nothing is left to do."""
        self.frames.append(_Frame((), self.first_table, 0, 0, _End.ACTION_SET))
        self._search(self.first_table, None, 0)
        while self.frames:
            frame = self.frames[-1]
            if frame.at == len(frame.operations) or self.exiting:
                self._finish(frame)
            else:
                frame.at += 1
                self._execute(frame.operations[frame.at - 1], frame)
        if not self.ended and not self.emissions and not self.forks:
            self._explain_silence()

    def _finish(self, frame: _Frame) -> None:
        runs_set = frame.end in {_End.ACTION_SET, _End.CLONE}
        if runs_set and self.state.action_set and not self.exiting:
            frame.operations = action_set.ordered(self.state.action_set)
            frame.at = 0
            frame.step = len(self.found) - 1
            self.state.action_set = []
            return
        self.frames.pop()
        if frame.saved is not None and frame.end is _End.CLONE:
            self.state = frame.saved  # clone(exit) still ends the whole translation (tried)
        elif frame.saved is not None:
            self.state.packed, self.state.unknown = frame.saved.packed, frame.saved.unknown
            self.exiting = False

    def _explain_silence(self) -> None:
        last = self.found[-1]
        if self.punted:
            self._stop(None, detail="the packet went to a controller only, and what comes back is not in the tables")
        elif last.entry is not None:
            self._stop(_shape_of(last.entry))

    def _stop(
        self, shape: DropShape | None, *, step: int | None = None, port: int | None = None, detail: str | None = None
    ) -> None:
        self.stops.append(
            Stop(
                shape,
                self.state.copy(),
                tuple(self.found),
                len(self.found) - 1 if step is None else step,
                tuple(self.meters),
                port,
                detail,
            )
        )

    def _unsupported(self, name: str, frame: _Frame) -> None:
        self._leave_open(Unsupported(name), frame.step)

    def _leave_open(self, why: Undecided, step: int) -> None:
        """End this pass: what was output before is certain, nothing after is."""
        match why:
            case Unsupported():
                self._stop(DropShape.UNSUPPORTED, step=step, detail=why.name)
            case Unknown():
                self._stop(None, step=step, detail=why.reason)
        self.frames.clear()
        self.ended = True

    def _fail(self, shape: DropShape) -> None:
        """A translation limit: OVS then drops the packet and forgets the outputs it already had (tried)."""
        self.emissions.clear()
        self.stops.clear()
        self.forks.clear()
        self._stop(shape)
        self.frames.clear()
        self.ended = True

    def _search(self, table_id: int, in_port: int | None, depth: int) -> None:
        key = self.state.lookup_key(in_port)
        lookup = self.view.table(table_id).search(key, self.state.unknown)
        self.found.append(Found(table_id, None if lookup.undecided else lookup.entry, lookup.ambiguous, key))
        if lookup.undecided:
            self._leave_open(unknown_fields(lookup.undecided, self.state.unknown), len(self.found) - 1)
        elif lookup.entry is None:
            self._stop(DropShape.NO_MATCH)
        else:
            self.resubmits += 1
            self.frames.append(_Frame(lookup.entry.program, table_id, depth, len(self.found) - 1))

    def _within_limits(self, frame: _Frame) -> bool:
        if frame.depth >= MAX_DEPTH:
            self._fail(DropShape.RECURSION_LIMIT)
        elif self.resubmits > MAX_RESUBMITS:
            self._fail(DropShape.RESUBMIT_LIMIT)
        else:
            return True
        return False

    def _go(self, table_id: int, in_port: int | None, frame: _Frame) -> None:
        if self._within_limits(frame):
            self._search(table_id, in_port, frame.depth + (table_id <= frame.table_id))

    def _execute(self, operation: Operation, frame: _Frame) -> None:  # noqa: C901, PLR0912, PLR0915  one arm per kind
        state = self.state
        match operation:
            case act.SetField():
                state.set_masked(operation.field, operation.value, operation.mask)
            case act.Output():
                self._output(operation.port, frame)
            case act.Resubmit():
                table_id = frame.table_id if operation.table_id is None else operation.table_id
                self._resubmit(operation, table_id, frame)
            case act.GotoTable():
                self._go(operation.table_id, None, frame)
            case act.Move():
                state.move(operation.source, operation.destination)
            case act.OutputSubField():
                self._output_sub_field(operation, frame)
            case act.Group():
                self._group(operation.group_id, frame)
            case act.Conntrack():
                self._conntrack(operation, frame)
            case act.ConntrackClear():
                state.clear_connection()
            case act.Clone():
                self.frames.append(
                    _Frame(operation.nested, frame.table_id, frame.depth, frame.step, _End.CLONE, state.copy())
                )
            case act.DecTtl():
                if not state.decrement_ttl():
                    self._stop(DropShape.TTL_EXCEEDED, step=frame.step)
                    frame.at = len(frame.operations)  # ends this flow only; a caller's actions go on (tried)
            case act.Push():
                state.push(operation.source)
            case act.Pop():
                state.pop(operation.destination)
            case act.PushVlan():
                state.push_vlan()
            case act.PopVlan():
                state.pop_vlan()
            case act.SetTunnelId():
                state.set_tunnel_id(operation.tun_id)
            case act.CheckPacketLarger():
                state.write(operation.destination, int(self.length > operation.length))
            case act.WriteActions():
                state.action_set.extend(operation.actions)
            case act.ClearActions():
                state.action_set.clear()
            case act.WriteMetadata():
                state.write_metadata(operation.value, operation.mask)
            case act.Meter():
                self.meters.append(operation.meter_id)
            case act.Exit():
                self.exiting = True
            case act.Controller():
                self.punted = True
            case act.Learn() | act.Note() | act.Neutral() | act.Conjunction():
                pass
            case act.Nat():
                self._unsupported("nat", frame)
            case act.UnknownAction() | act.UnknownInstruction():
                self._unsupported(operation.name, frame)
            case _:
                assert_never(operation)

    def _resubmit(self, operation: act.Resubmit, table_id: int, frame: _Frame) -> None:
        if operation.with_conntrack:
            self._unsupported("resubmit(,ct)", frame)
            return
        in_port = None if operation.in_port is None else canonical_port(operation.in_port)
        self._go(table_id, None if in_port == act.OFPP_IN_PORT else in_port, frame)

    def _conntrack(self, operation: act.Conntrack, frame: _Frame) -> None:
        outcome = conntrack.track(self.state, operation, self.ct_state)
        match outcome:
            case Unsupported() | Unknown():
                self._leave_open(outcome, frame.step)
            case PacketState() if operation.table_id is not None and self.recirculations < MAX_RECIRCULATIONS:
                found, meters = self.found.copy(), self.meters.copy()
                self.forks.append(Fork(operation.table_id, outcome, found, meters, self.recirculations + 1))
            case PacketState():
                self._stop(DropShape.RECURSION_LIMIT, step=frame.step)
            case None:
                pass
            case _:
                assert_never(outcome)

    def _output_sub_field(self, operation: act.OutputSubField, frame: _Frame) -> None:
        port, unknown = self.state.read(operation.source)
        if unknown:
            self._leave_open(Unknown(f"the port number in {operation.source.field.name} is not known"), frame.step)
        elif port > _SIXTEEN_BITS:
            self._stop(DropShape.PORT_GONE, step=frame.step, port=port)
        else:
            self._output(canonical_port(port), frame)

    def _output(self, port: int, frame: _Frame) -> None:
        if port == act.OFPP_IN_PORT:
            self._emit(self.state.in_port, frame)
        elif port == act.OFPP_CONTROLLER:
            self.punted = True
        elif port == act.OFPP_TABLE:
            self._go(0, None, frame)
        elif port in _SPECIAL_PORTS:
            self._unsupported(_SPECIAL_PORTS[port], frame)
        elif port == self.state.in_port:
            self._stop(DropShape.OUTPUT_TO_INGRESS, step=frame.step)
        elif port != act.OFPP_ANY:
            self._emit(port, frame)

    def _emit(self, port: int, frame: _Frame) -> None:
        match self.view.port_state(port):
            case PortState.UP:
                emission = Emission(port, self.state.copy(), tuple(self.found), frame.step, tuple(self.meters))
                self.emissions.append(emission)
            case PortState.DOWN:
                self._stop(DropShape.PORT_DOWN, step=frame.step, port=port)
            case PortState.GONE:
                self._stop(DropShape.PORT_GONE, step=frame.step, port=port)

    def _group(self, group_id: int, frame: _Frame) -> None:
        group = self.view.group(group_id)
        if group is None:
            self._leave_open(Unknown(f"group {group_id} was not stored with the tables"), frame.step)
            return
        if not self._within_limits(frame):
            return
        live = tuple(bucket for bucket in group.buckets if self.view.bucket_live(bucket.watch_port, bucket.watch_group))
        match group.type:
            case GroupType.ALL | GroupType.INDIRECT:
                chosen = group.buckets
            case GroupType.FAST_FAILOVER:
                chosen = live[:1]
            case GroupType.SELECT:
                chosen = tuple(bucket for bucket in live if bucket.weight)
                if len(chosen) > 1:
                    self._unsupported("select group", frame)
                    return
            case _:
                assert_never(group.type)
        if not chosen:
            self._stop(DropShape.NO_LIVE_BUCKET, step=frame.step)
        self.frames.extend(self._bucket_frame(bucket, frame) for bucket in reversed(chosen))

    def _bucket_frame(self, bucket: Bucket, frame: _Frame) -> _Frame:
        operations = action_set.ordered(bucket.actions)
        return _Frame(operations, frame.table_id, frame.depth + 1, frame.step, _End.BUCKET, self.state.copy())


def _given_up(fork: Fork) -> Stop:
    detail = f"more than {MAX_PASSES} recirculated copies"
    return Stop(None, fork.state, tuple(fork.found), len(fork.found) - 1, tuple(fork.meters), detail=detail)


def _shape_of(entry: Entry) -> DropShape:
    if entry.program:
        return DropShape.NO_OUTPUT
    if entry.flow.priority == 0 and not entry.flow.match.fields:
        return DropShape.TABLE_MISS_FLOW
    return DropShape.EXPLICIT_DROP
