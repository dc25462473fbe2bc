"""Turns a predicted Trajectory and what ``ofproto/trace`` says at each server into where the two part (idea N2)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vtrace_ovs.model.agreement import Agreement, Lookup, OvsTrace
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Step, Trajectory
from vtrace_ovs.model.wording import flow_text

_LEFT = frozenset({Ending.HANDED_TO_PORT, Ending.EXITED, Ending.ON_WIRE})
_UNDECIDED_BY_OVS = "neighbor cache miss"


@dataclass(frozen=True, slots=True)
class ServerVisit:
    """The packet's stay at one server: where it came in, and every hop until it leaves the server again."""

    entry: Hop
    hops: tuple[Hop, ...]
    steps: tuple[tuple[BridgeId, Step], ...]
    in_order: bool


def server_visits(predicted: Trajectory) -> tuple[ServerVisit, ...]:
    """The stays of a packet: the first, and one behind each tunnel. Open vSwitch's trace tells of one at a time.

    ``steps`` are in the order Open vSwitch makes them when ``in_order``; branches within a server have no such order.
    """
    tree = _Tree(predicted.hops)
    entries = [index for index, hop in enumerate(predicted.hops) if hop.parent is None or hop.arrived_by is not None]
    firsts = {predicted.hops[index].parent: index for index in reversed(entries)}
    return tuple(tree.stay(predicted.hops[index].parent) for index in sorted(firsts.values()))


class _Tree:
    """The hops of a trajectory by the hop they came from."""

    def __init__(self, hops: Sequence[Hop]) -> None:
        self._hops = hops
        self._children: dict[int | None, list[int]] = {}
        for index, hop in enumerate(hops):
            self._children.setdefault(hop.parent, []).append(index)

    def stay(self, parent: int | None) -> ServerVisit:
        first = self._children[parent]
        indexes = list(self._here(first))
        in_order = all(len(self._children[self._hops[index].parent]) == 1 for index in indexes)
        steps = tuple(self._steps(first))
        return ServerVisit(self._hops[first[0]], tuple(self._hops[index] for index in indexes), steps, in_order)

    def _onward(self, index: int) -> list[int]:
        return [child for child in self._children.get(index, ()) if self._hops[child].arrived_by is None]

    def _here(self, indexes: Iterable[int]) -> Iterator[int]:
        for index in indexes:
            yield index
            yield from self._here(self._onward(index))

    def _steps(self, visit: Sequence[int]) -> Iterator[tuple[BridgeId, Step]]:
        """Each lookup once: hops of one visit share their first ones."""
        seen: tuple[Step, ...] = ()
        for index in sorted(visit, key=lambda index: len(self._hops[index].steps)):
            hop = self._hops[index]
            common = sum(1 for mine, other in zip(hop.steps, seen, strict=False) if _same_step(mine, other))
            yield from ((hop.bridge, step) for step in hop.steps[common:])
            seen = hop.steps
            yield from self._steps(self._onward(index))


def _same_step(mine: Step, other: Step) -> bool:
    return (mine.table_id, mine.flow) == (other.table_id, other.flow)


def agreement(visit: ServerVisit, trace: OvsTrace, vfds: Iterable[BridgeId]) -> Agreement:
    """Whether the trace looks up the flows the walk did, and forwards the packet where the walk does.

    ``vfds`` are the bridges of the inventory; lookups in others (the underlay) are no part of the walk.
    """
    here = {bridge.name for bridge in vfds if bridge.node == visit.entry.bridge.node}
    theirs = [lookup for lookup in trace.lookups if lookup.bridge in here]
    parting = _parting(visit, theirs)
    if parting is not None:
        bridge, table_id, sentence = parting
        return Agreement(
            visit.entry.bridge, agrees=False, sentence=sentence, bridge=bridge, table_id=table_id, trace=trace
        )
    undecided = any(hop.ending is Ending.UNKNOWN for hop in visit.hops)
    if not undecided and not any(_UNDECIDED_BY_OVS in note for note in trace.notes):
        forwards = any(_forwards(hop, visit) for hop in visit.hops)
        if forwards != trace.forwards:
            ours, ovs = _fate(forwards=forwards), _fate(forwards=trace.forwards)
            sentence = f"differ after {_lookups(visit)}: the walker {ours} the packet, Open vSwitch {ovs} it"
            return Agreement(visit.entry.bridge, agrees=False, sentence=sentence, trace=trace)
    so_far = ", as far as the walk goes" if undecided else f", which {_fate(forwards=trace.forwards)} the packet"
    return Agreement(
        visit.entry.bridge, agrees=True, sentence=f"agree: {_lookups(visit)} as in Open vSwitch{so_far}", trace=trace
    )


def _lookups(visit: ServerVisit) -> str:
    return "1 lookup" if len(visit.steps) == 1 else f"{len(visit.steps)} lookups"


def _fate(*, forwards: bool) -> str:
    return "forwards" if forwards else "drops"


def _forwards(hop: Hop, visit: ServerVisit) -> bool:
    """Whether a copy leaves the server here. A hop without an ending goes on, and if not here then by a tunnel."""
    if hop.ending is None:
        return hop.left_by is not None
    return hop.ending in _LEFT or (hop.ending is Ending.LOOPED and hop is not visit.entry)


def _parting(visit: ServerVisit, theirs: Sequence[Lookup]) -> tuple[BridgeId, int, str] | None:
    if visit.in_order:
        pairs = list(zip(visit.steps, theirs, strict=False))
        for (bridge, step), lookup in pairs:
            if not _alike(step, lookup):
                return bridge, step.table_id, _difference(bridge, step, lookup.text, lookup.table_id)
        missing = visit.steps[len(pairs) :]
    else:
        missing = tuple(
            (bridge, step) for bridge, step in visit.steps if not any(_alike(step, lookup) for lookup in theirs)
        )
    if not missing:
        return None
    bridge, step = missing[0]
    return bridge, step.table_id, _difference(bridge, step, "nothing: it makes no such lookup", None)


def _difference(bridge: BridgeId, step: Step, theirs: str, table_id: int | None) -> str:
    ours = "no flow matches" if step.flow is None else flow_text(step.flow, step.cookie)
    table = "" if table_id in {None, step.table_id} else f"table {table_id}, "
    return f"differ at {bridge}, table {step.table_id}: the walker says {ours}; Open vSwitch says {table}{theirs}"


def _alike(step: Step, lookup: Lookup) -> bool:
    if step.flow is None:
        return lookup.priority is None or (lookup.priority == 0 and not lookup.cookie)
    if lookup.priority is None or step.table_id != lookup.table_id:
        return False
    if step.ambiguous:
        return step.flow.priority == lookup.priority
    matches = lookup.match in {None, step.flow.match.taken_apart()}
    return matches and (step.flow.priority, step.cookie or 0) == (lookup.priority, lookup.cookie)
