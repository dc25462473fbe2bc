"""Turns how a packet was seen to leave a bridge into what a hash chose and ``nat`` wrote there, where only that fits.

The tables do not tell which bucket a hash takes, nor which address an earlier packet of a connection got. Where the
packet itself was seen leaving, every possibility is tried, and one is taken if it is the only one that fits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vtrace_ovs.model.actions import Clone, SetField
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.entry import Operation
from vtrace_ovs.walker.guide import Guide
from vtrace_ovs.walker.visit import Emission, Visit

MOST_TRIALS = 64


@dataclass(frozen=True, slots=True)
class Departure:
    """How a packet was seen to leave a bridge: the OpenFlow port, and what it left with, None where nobody knows."""

    out_port: int
    five_tuple: FiveTuple | None


class _Trial(NamedTuple):
    guide: Guide
    visit: Visit


Evaluate = Callable[[Guide], Visit]
"""One evaluation of the packet at the bridge, with this guidance."""
LeftWith = Callable[[Emission], FiveTuple | None]
"""The five-tuple of a packet as it leaves, as far as the walk knows it."""


def guided(evaluate: Evaluate, left_with: LeftWith, seen: frozenset[Departure]) -> tuple[Visit, str | None]:
    """What a bridge does with a packet that was seen to leave it so, and in words what was taken from that."""
    tuples = {departure.five_tuple for departure in seen}
    translated = tuples.pop() if len(tuples) == 1 else None
    for wanted in dict.fromkeys((translated, None)):
        trials = list(_trials(evaluate, {}, wanted, [MOST_TRIALS]))
        if not trials:
            continue
        (guide, visit), *others = trials
        if not others and not guide.taken and not guide.written:
            return visit, None
        possible = [trial for trial in trials if _left_open(trial) or _fits(trial, left_with, seen)]
        if len(possible) == 1 and _fits(possible[0], left_with, seen) and not _overwritten(possible[0]):
            return possible[0].visit, _words(possible[0].guide)
    return evaluate(Guide({}, None)), None


def _trials(
    evaluate: Evaluate, taken: dict[int, int], translated: FiveTuple | None, left: list[int]
) -> Iterator[_Trial]:
    """One trial for every combination of buckets; none at all of more than there is time for."""
    guide = Guide(taken, translated)
    visit = evaluate(guide)
    left[0] -= 1
    if guide.open is None or guide.open.group_id in taken or left[0] < len(guide.open.buckets):
        yield _Trial(guide, visit)
        return
    group_id, buckets = guide.open
    for bucket in buckets:
        yield from _trials(evaluate, {**taken, group_id: bucket}, translated, left)


def _left_open(trial: _Trial) -> bool:
    return any(stop.undecided for stop in trial.visit.stops)


def _fits(trial: _Trial, left_with: LeftWith, seen: frozenset[Departure]) -> bool:
    """Whether all that was seen to leave may have been this."""
    left = [(emission.port, left_with(emission)) for emission in trial.visit.emissions]
    return all(
        any(port == departure.out_port and _may_be(tuple_, departure.five_tuple) for port, tuple_ in left)
        for departure in seen
    )


def _may_be(left: FiveTuple | None, seen: FiveTuple | None) -> bool:
    if left is None or seen is None or left == seen:
        return True
    ports = ((left.source_port, seen.source_port), (left.destination_port, seen.destination_port))
    same = (left.protocol, left.source, left.destination) == (seen.protocol, seen.source, seen.destination)
    return same and all(one is None or one == other for one, other in ports)


def _overwritten(trial: _Trial) -> bool:
    """Whether what nat wrote is not for certain what the packet left with: it, or a flow, may have written it again."""
    written = trial.guide.written
    if len(set(written)) < len(written):
        return True
    bits = layout.bits_of(*(name for side in written for name in (f"ipv4_{side}", f"ipv6_{side}", f"tcp_{side}")))
    return any(_writes(operation, bits) for found in trial.visit.searches for operation in found.program)


def _writes(operation: Operation, bits: int) -> bool:
    if isinstance(operation, SetField):
        lowest = layout.offset_of(operation.field)
        return lowest is not None and bool(bits & operation.mask << lowest)
    return isinstance(operation, Clone) and any(_writes(nested, bits) for nested in operation.nested)


def _words(guide: Guide) -> str:
    said = [f"group {group_id}: observed bucket {bucket}" for group_id, bucket in guide.taken.items()]
    return "; ".join([*said, *(["what nat wrote is as observed"] if guide.written else [])])
