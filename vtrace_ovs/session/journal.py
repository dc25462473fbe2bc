"""Turns the readings of a bridge while a trace runs into the tables that were in force when a packet came by (N4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from math import inf

from vtrace_ovs.diagnosis.scene import FlowLife
from vtrace_ovs.model.flow import BridgeTables, Flow, FlowKey
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.walker.network import Network

SLACK = 1.0
"""A reading tells of its tables, a copy of its packet, and the datapath follows its tables, within this time (s)."""

MOST_TRIED = 8
"""So many combinations of tables are tried for one packet; where more were possible, none is."""

MOST_KEPT = 16
"""So many older tables of one bridge are kept; packets of before that are not predicted any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """A bridge's tables were ``before`` until ``possible_from`` at least, and others from ``sure_from`` on at most."""

    before: BridgeTables
    possible_from: float
    sure_from: float


@dataclass(slots=True)
class Journal:
    """What production changed on which bridge while a task ran. ``began`` is when its packets began to be colored.

    ``lives`` tells of flows that came or went; times are in seconds after ``began``. Tables that were in force until
    ``forgotten`` are not known any more.
    """

    began: float = 0.0
    changes: dict[BridgeId, tuple[Change, ...]] = field(default_factory=dict)
    lives: dict[tuple[BridgeId, FlowKey], FlowLife] = field(default_factory=dict)
    forgotten: float = -inf
    _built: dict[tuple[tuple[BridgeId, int], ...], Network] = field(default_factory=dict)
    _now: Network | None = None

    def changed(self, bridge: BridgeId, before: BridgeTables, after: BridgeTables, last_read_at: float) -> None:
        """Production's tables are others than when they were last read. New flows tell their age."""
        at = after.read_at
        old, new = {flow.key: flow for flow in before.flows}, {flow.key: flow for flow in after.flows}
        fresh = [flow for key, flow in new.items() if old.get(key) != flow]
        gone = [key for key in old if key not in new]
        span = last_read_at - SLACK, at
        self.lives.update({(bridge, flow.key): self._came(flow, flow.key in old, span) for flow in fresh})
        self.lives.update({(bridge, key): FlowLife(removed=self._after(span)) for key in gone})
        ages = [flow.duration for flow in fresh]
        only_new = not gone and not any(flow.key in old for flow in fresh) and _alike(before, after)
        if ages and only_new and max(ages) <= at - span[0]:
            span = max(span[0], at - max(ages) - SLACK), min(at, at - min(ages) + SLACK)
        self.changes[bridge] = (*self.changes.get(bridge, ()), Change(before, *span))
        if len(self.changes[bridge]) > MOST_KEPT:
            oldest, *kept = self.changes[bridge]
            self.changes[bridge], self.forgotten = tuple(kept), max(self.forgotten, oldest.sure_from)
            self._built = {}

    def _came(self, flow: Flow, known: bool, span: tuple[float, float]) -> FlowLife:
        if known:
            return FlowLife(changed=self._after(span))
        return FlowLife(added=max(0.0, span[1] - flow.duration - self.began))

    def _after(self, span: tuple[float, float]) -> tuple[float, float]:
        return max(0.0, span[0] - self.began), max(0.0, span[1] - self.began)

    def networks(self, observed: Trajectory, now: Network | None) -> tuple[Network | None, ...]:
        """The network as it may have been when this packet passed: one, unless it passed at the time of a change.

        None where the tables are not known, or too many changed at once.
        """
        if now is None or not self.changes or observed.first_seen is None or observed.last_seen is None:
            return (now,)
        if observed.first_seen <= self.forgotten:
            return (None,)
        if now is not self._now:
            self._now, self._built = now, {}
        since, until = observed.first_seen, observed.last_seen
        bridges = [bridge for bridge in self.changes if bridge in now.views]
        possible = (tuple(_possible(self.changes[bridge], since, until)) for bridge in bridges)
        found = tuple(islice(product(*possible), MOST_TRIED + 1))
        if len(found) > MOST_TRIED:
            return (None,)
        return tuple(self._network(tuple(zip(bridges, editions, strict=True)), now) for editions in found)

    def _network(self, editions: tuple[tuple[BridgeId, int], ...], now: Network) -> Network:
        """The network where each of these bridges has this edition of its tables; the last is that of ``now``."""
        old = {b: self.changes[b][edition].before for b, edition in editions if edition < len(self.changes[b])}
        if not old:
            return now
        if editions not in self._built:
            tables = {bridge: view.tables for bridge, view in now.views.items()}
            self._built[editions] = Network.build(now.places.topology, {**tables, **old}, before=now)
        return self._built[editions]


def _possible(changes: tuple[Change, ...], since: float, until: float) -> Iterator[int]:
    """Which editions of a bridge's tables may have been in force at some time in between, by number."""
    for edition in range(len(changes) + 1):
        begun = edition == 0 or changes[edition - 1].possible_from <= until
        ended = edition < len(changes) and changes[edition].sure_from < since
        if begun and not ended:
            yield edition


def _alike(before: BridgeTables, after: BridgeTables) -> bool:
    return (before.groups, before.meters, before.ports) == (after.groups, after.meters, after.ports)
