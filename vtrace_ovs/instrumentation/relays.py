"""Turns the flows two plans have that are no sources into which come and go as sinks, and which as relays.

Sinks know which marks to take off; relays have packets leave with the next mark. Every VFD must know a mark before any
puts it on a packet, and as long as any does; a tenant may forge the one it becomes of. So what is added in the place of
another flow is a relay, and a flow that takes one mark off and has another put on only takes it off at first, and at
last. Packets of other tasks are under way all the time, and none may be taken for a task whose marks are not there yet,
or no longer: flows of table ``leave`` come before those that classify, and go after them. Where only traced packets may
have state, flows that classify are all that takes marks off, so these are no relays.
"""

from collections.abc import Container, Iterable
from dataclasses import replace

from vtrace_ovs.instrumentation.cookies import PRODUCT_MASK, Cookie, CookieKind, kind_of
from vtrace_ovs.instrumentation.plan import BridgePlan, on_the_bridge
from vtrace_ovs.model.actions import ApplyActions
from vtrace_ovs.model.flow import FlowMod, FlowModCommand
from vtrace_ovs.model.oxm import IP_DSCP

FlowMods = tuple[FlowMod, ...]

_OUTLETS = CookieKind.LEAVE, CookieKind.TURN
_TAKING_OFF = CookieKind.MARK, CookieKind.CLASSIFY
_RELAYING = CookieKind.LEAVE, CookieKind.CLASSIFY


def coming(installed: BridgePlan | None, wanted: BridgePlan | None) -> tuple[FlowMods, FlowMods]:
    """The sinks to add, then the relays. All that stay are sent again if they must last longer."""
    if wanted is None:
        return (), ()
    old, new = _sinks(installed), _sinks(wanted)
    there, stay = {flow.key: flow for flow in old}, _leaving(old) & _leaving(new)
    prolonged = installed is not None and wanted.sink_deadline > installed.sink_deadline
    known = _taken_off_by(old)
    classified = installed is not None or wanted.state.outlives_the_bridge
    sinks: list[FlowMod] = []
    relays: list[FlowMod] = []
    for flow in new:
        before = there.get(flow.key)
        if before is not None and alike(before, flow):
            sinks.extend((flow,) if prolonged else ())
        elif before is not None or _relays(flow, wanted, stay):
            relays.append(flow)
        else:
            first = _only_taking_off(flow, wanted, known) if classified else flow
            sinks.append(first)
            relays.extend((flow,) if first != flow else ())
    return _outlets_first(sinks), _outlets_first(relays)


def going(installed: BridgePlan | None, wanted: BridgePlan | None) -> tuple[FlowMods, FlowMods]:
    """The relays to remove, then the sinks. The former begin with what only takes off a mark before it goes, too."""
    if installed is None:
        return (), ()
    old, new = _sinks(installed), _sinks(wanted)
    kept, stay = {flow.key for flow in new}, _leaving(old) & _leaving(new)
    unclassified = wanted is None and not installed.state.outlives_the_bridge
    harmless = _taken_off_by(old if unclassified else new)
    gone = [flow for flow in old if flow.key not in kept]
    last = ((flow, _only_taking_off(flow, installed)) for flow in gone if _taken_off(flow) not in harmless)
    quieted = tuple(quiet for flow, quiet in last if quiet != flow)
    relays = tuple(removal(flow) for flow in gone if _relays(flow, installed, stay))
    return (*quieted, *relays), tuple(removal(flow) for flow in gone if not _relays(flow, installed, stay))


def alike(one: FlowMod, other: FlowMod) -> bool:
    """Whether flows of one key are the same."""
    return (one.cookie, one.instructions) == (other.cookie, other.instructions)


def removal(flow: FlowMod) -> FlowMod:
    """What removes a flow, if it is ours."""
    key = flow.table_id, flow.priority, flow.match
    return FlowMod(FlowModCommand.DELETE_STRICT, *key, flow.cookie, PRODUCT_MASK)


def _sinks(plan: BridgePlan | None) -> FlowMods:
    return () if plan is None else on_the_bridge(plan.sinks)


def _outlets_first(flows: Iterable[FlowMod]) -> FlowMods:
    return tuple(sorted(flows, key=lambda mod: kind_of(mod.cookie) not in _OUTLETS))


def _relays(flow: FlowMod, plan: BridgePlan, stay: frozenset[int]) -> bool:
    """Whether a flow makes packets leave with a mark, and can do without when it comes and goes."""
    cookie = Cookie.of(flow.cookie)
    if cookie is None or cookie.kind not in _RELAYING:
        return False
    return not plan.state.outlives_the_bridge or (cookie.kind is CookieKind.LEAVE and cookie.slot in stay)


def _leaving(flows: FlowMods) -> frozenset[int]:
    """The slots of tasks whose packets leave with marks."""
    cookies = (Cookie.of(flow.cookie) for flow in flows)
    return frozenset(cookie.slot for cookie in cookies if cookie is not None and cookie.kind is CookieKind.LEAVE)


def _taken_off_by(flows: Iterable[FlowMod]) -> frozenset[int]:
    return frozenset(code for flow in flows if (code := _taken_off(flow)) is not None)


def _taken_off(flow: FlowMod) -> int | None:
    """The code point that a flow takes off, if it does."""
    code = flow.match.get(IP_DSCP) if kind_of(flow.cookie) in _TAKING_OFF else None
    return None if code is None else code.value


def _only_taking_off(flow: FlowMod, plan: BridgePlan, known: Container[int] = ()) -> FlowMod:
    """The flow as it may be while other VFDs do not know the mark it has packets leave with, if not ``known``."""
    if _taken_off(flow) is None:
        return flow
    steps = (
        ApplyActions(tuple(plan.state.without_marks(action, known) for action in step.actions))
        if isinstance(step, ApplyActions)
        else step
        for step in flow.instructions
    )
    return replace(flow, instructions=tuple(steps))
