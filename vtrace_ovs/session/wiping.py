"""Turns a reading of a bridge into whether somebody else took flows of ours out (trap T7).

A production controller that deletes what it does not know (a resync of Neutron's agent, ovn-controller connecting
again) deletes ours. From then on nobody there takes marks off or logs, so nothing may be concluded from silence.
"""

from collections.abc import Iterable

from vtrace_ovs.instrumentation.changes import on_the_bridge
from vtrace_ovs.instrumentation.cookies import Cookie, CookieKind
from vtrace_ovs.instrumentation.plan import BridgePlan
from vtrace_ovs.model.flow import Flow, FlowKey, FlowMod


def kept(carried: BridgePlan, coming: BridgePlan | None, coloring: frozenset[int], at: float) -> tuple[FlowMod, ...]:
    """The flows a bridge has and is to keep, whatever is on its way to it: none that may have timed out by now.

    ``coming`` is what it will carry once that has arrived, ``coloring`` the slots of the tasks whose sources still have
    time.
    """
    if coming is None or at >= carried.sink_deadline:
        return ()
    there = on_the_bridge(carried.sources)
    sources = tuple(flow for flow in there if (c := Cookie.of(flow.cookie)) and c.slot in coloring)
    staying = {(flow.key, flow.cookie) for flow in on_the_bridge((*coming.sinks, *coming.sources))}
    return tuple(flow for flow in (*on_the_bridge(carried.sinks), *sources) if (flow.key, flow.cookie) in staying)


def loss(expected: tuple[FlowMod, ...], ours: Iterable[Flow], removed: Iterable[FlowKey] = ()) -> str | None:
    """What is missing of the flows expected there, as a sentence without its subject; None when nothing is.

    Whoever deletes a flow of production by its match deletes our clone of it too. Where such a flow was ``removed``,
    its clone does not count: without both, traced packets fare as all others do.
    """
    there = {(flow.key, flow.cookie) for flow in ours}
    gone = [flow for flow in expected if (flow.key, flow.cookie) not in there]
    orphans = tuple(removed) if gone else ()
    missing = sum(not any(_clones(flow, original) for original in orphans) for flow in gone)
    if not missing:
        return None
    return (
        f"somebody removed {missing} of our {len(expected)} flows while the trace ran: a controller that clears tables?"
    )


def _clones(flow: FlowMod, original: FlowKey) -> bool:
    cookie = Cookie.of(flow.cookie)
    above = (flow.table_id, flow.priority) == (original.table_id, original.priority + 1)
    same = above and frozenset(original.match.fields) <= frozenset(flow.match.fields)
    return same and cookie is not None and cookie.kind is CookieKind.CLONE
