"""Turns the production flows a traced packet may hit into clones that only traced packets hit, one priority above.

Why the order among traced packets stays production's own: of two flows a packet matches, both have a clone, so the
higher one's clone is above everything of the lower one. A flow at the highest priority cannot be topped, and a flow
just below one that has no clone must not be (its clone would tie with it); such flows stay uncloned. One that only
sends packets on to other tables loses us nothing: the state field rides along. The others are reported. What ``learn``
adds while we trace has no clone either, until the tables are read again.
"""

from dataclasses import dataclass

from vtrace_ovs.instrumentation.cookies import CookieKind
from vtrace_ovs.instrumentation.reach import Reach
from vtrace_ovs.instrumentation.site import Site, apply
from vtrace_ovs.instrumentation.splice import Passing, Splicer
from vtrace_ovs.model.flow import Flow, FlowKey, FlowMod
from vtrace_ovs.model.match import Match

HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Clones:
    """The clones and miss logs of one bridge, and the flows where a traced packet may end or leave without a copy.

    ``leaks`` are those of them where it may leave: with the state field, if that outlives the bridge.
    """

    flows: tuple[FlowMod, ...]
    unlogged: tuple[FlowKey, ...]
    leaks: tuple[FlowKey, ...]


def clones(site: Site, splicer: Splicer, reach: Reach) -> Clones:
    """Clone every compatible flow of every reachable table, and log misses where a miss ends the packet's trip."""
    mods: list[FlowMod] = []
    unlogged: list[FlowKey] = []
    leaks: list[FlowKey] = []
    traced = tuple(map(site.state.traced, site.colors))
    for table_id, flows in reach.flows.items():
        conclusive = table_id in reach.conclusive
        learned = frozenset(priority for learning, priority in reach.learned if learning == table_id)
        uncloned = _without_clone(flows, learned)
        for flow in flows:
            if uncloned and flow.key in uncloned:
                passing = splicer.passing(flow)
                if passing is not Passing.ON:
                    unlogged.append(flow.key)
                if passing is Passing.OUT:
                    leaks.append(flow.key)
                continue
            spliced = splicer.splice(flow, conclusive=conclusive)
            if not spliced.complete:
                unlogged.append(flow.key)
                leaks.append(flow.key)
            place = (table_id, flow.priority + 1)
            for of_color in traced:
                match = flow.match.with_fields(of_color)
                mods.append(site.flow(place, match, CookieKind.CLONE, spliced.instructions))
        if conclusive and 0 not in learned and all(flow.match.fields for flow in flows):
            logged = apply(*site.book.miss(table_id))
            missed = map(Match.of, traced)
            mods += (site.flow((table_id, 0), match, CookieKind.MISS, logged) for match in missed)
    return Clones(tuple(mods), tuple(unlogged), tuple(leaks))


def _without_clone(flows: tuple[Flow, ...], learned: frozenset[int]) -> frozenset[FlowKey]:
    """The flows whose clones could tie with a flow that has none: one at the top, or one learned at such a priority."""
    stuck: dict[int, list[Flow]] = {}
    for flow in sorted(flows, key=lambda flow: -flow.priority):
        above = flow.priority + 1
        tied = flow.priority == HIGHEST or above in learned
        if tied or any(flow.match.overlaps(other.match) for other in stuck.get(above, ())):
            stuck.setdefault(flow.priority, []).append(flow)
    return frozenset(flow.key for layer in stuck.values() for flow in layer)
