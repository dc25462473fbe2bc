"""Turns the lookups of predicted hops into the fields they looked at: what their megaflows cannot wildcard.

Source: ``lib/classifier.c`` of Open vSwitch 3.1 un-wildcards the mask of each subtable it searches, and stops at the
first whose flows all have a lower priority than the one found. Its tries may spare some of those bits, so this is a
superset of what the lookups un-wildcard; what actions un-wildcard besides is in ``reading``.
"""

from typing import NamedTuple

from vtrace_ovs.model.agreement import Examined
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    CONJ_ID,
    ETH_TYPE,
    IN_PORT,
    IP_ECN,
    METADATA,
    REGISTERS,
    TUN_DST,
    TUN_ID,
    TUN_IPV6_DST,
    TUN_IPV6_SRC,
    TUN_SRC,
    Field,
)
from vtrace_ovs.model.packet import Headers, Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop, Step, Trajectory
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.conjunctions import ConjunctiveIndex
from vtrace_ovs.walker.frame import packed_state
from vtrace_ovs.walker.network import BridgeView, Network
from vtrace_ovs.walker.reading import read_by

_INTERNAL = frozenset({*REGISTERS, METADATA, CONJ_ID})
"""Fields that are zero when a packet arrives: no megaflow ever matches on them."""
_ALWAYS = {IN_PORT: IN_PORT.full_mask, ETH_TYPE: ETH_TYPE.full_mask}


def looked_at(network: Network, way: Trajectory) -> tuple[Examined, ...]:
    """What the lookups looked at, bridge visit after bridge visit; ``in_port`` and ``eth_type`` always, as in OVS."""
    masks: dict[_Visit, dict[Field, int]] = {}
    for hop in way.hops:
        view = network.views.get(hop.bridge)
        if view is None or hop.headers_in is None or hop.in_port is None or not hop.steps:
            continue
        mine = masks.setdefault(_Visit(hop.bridge, hop.in_port, hop.headers_in, hop.arrived_by), dict(_ALWAYS))
        for masked in examined(view, hop):
            mine[masked.field] = mine.get(masked.field, 0) | masked.mask
    return tuple(Examined(visit.bridge, _with_values(visit, found)) for visit, found in masks.items())


def _with_values(visit: "_Visit", masks: dict[Field, int]) -> Match:
    state = packed_state(visit.headers, visit.in_port, visit.tunnel)
    fields = []
    for field, mask in masks.items():
        lowest = layout.offset_of(field)
        known = 0 if lowest is None else mask & layout.tracked(field) & ~(state.unknown >> lowest)
        if lowest is not None and known and state.has(field):
            fields.append(MaskedField(field, state.packed >> lowest & known, known))
    return Match.of(*fields).taken_apart()


class _Visit(NamedTuple):
    """A packet at a bridge."""

    bridge: BridgeId
    in_port: int
    headers: Headers
    tunnel: Tunnel | None


def examined(view: BridgeView, hop: Hop) -> tuple[MaskedField, ...]:
    """The fields all lookups and flows of a hop looked at, by name; only masks mean something, values are zero."""
    masks: dict[Field, int] = {}
    for masked in (masked for step in hop.steps for masked in _consulted(view, step)):
        masks[masked.field] = masks.get(masked.field, 0) | masked.mask
    found = {step.flow for step in hop.steps}
    for flow in (flow for flow in view.tables.flows if flow.key in found):
        for masked in read_by(view, flow.instructions):
            masks[masked.field] = masks.get(masked.field, 0) | masked.mask
    masks.update((field, field.full_mask) for field in _at_tunnels(hop))
    return tuple(
        MaskedField(field, 0, masks[field])
        for field in sorted(masks, key=lambda each: each.name)
        if field not in _INTERNAL
    )


def _at_tunnels(hop: Hop) -> tuple[Field, ...]:
    """What a tunnel makes Open vSwitch look at: all of it when a packet arrives, congestion marks at both ends."""
    if hop.arrived_by is not None:
        return (TUN_ID, TUN_SRC, TUN_DST, TUN_IPV6_SRC, TUN_IPV6_DST, IP_ECN)
    return () if hop.left_by is None else (IP_ECN,)


def _consulted(view: BridgeView, step: Step) -> list[MaskedField]:
    index = view.indexes[step.table_id]
    if isinstance(
        index, ConjunctiveIndex
    ):  # conjunctions are looked up several times, from whatever priority their clauses have
        here = (flow for flow in view.tables.flows if flow.table_id == step.table_id)
        return [masked for flow in here for masked in flow.match.fields]
    floor = -1 if step.flow is None else step.flow.priority
    return [masked for subtable in index.subtables if subtable.top >= floor for masked in subtable.fields()]
