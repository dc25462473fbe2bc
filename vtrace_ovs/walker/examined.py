"""Turns the lookups of one predicted hop into the fields they looked at: what its megaflows cannot wildcard.

Source: ``lib/classifier.c`` of Open vSwitch 3.1 un-wildcards the mask of each subtable it searches, and stops at the
first whose flows all have a lower priority than the one found. Its tries may spare some of those bits, so this is a
superset of what the lookups un-wildcard; actions un-wildcard what they read besides.
"""

from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import CONJ_ID, METADATA, REGISTERS, Field
from vtrace_ovs.model.trajectory import Hop, Step
from vtrace_ovs.walker.conjunctions import ConjunctiveIndex
from vtrace_ovs.walker.network import BridgeView

_INTERNAL = frozenset({*REGISTERS, METADATA, CONJ_ID})
"""Fields that are zero when a packet arrives: no megaflow ever matches on them."""


def examined(view: BridgeView, hop: Hop) -> tuple[MaskedField, ...]:
    """The fields all lookups of a hop looked at, ordered by name; only their masks mean something, values are zero."""
    masks: dict[Field, int] = {}
    for step in hop.steps:
        for masked in _consulted(view, step):
            masks[masked.field] = masks.get(masked.field, 0) | masked.mask
    return tuple(
        MaskedField(field, 0, masks[field])
        for field in sorted(masks, key=lambda each: each.name)
        if field not in _INTERNAL
    )


def _consulted(view: BridgeView, step: Step) -> list[MaskedField]:
    index = view.indexes[step.table_id]
    if isinstance(
        index, ConjunctiveIndex
    ):  # conjunctions are looked up several times, from whatever priority their clauses have
        here = (flow for flow in view.tables.flows if flow.table_id == step.table_id)
        return [masked for flow in here for masked in flow.match.fields]
    floor = -1 if step.flow is None else step.flow.priority
    return [masked for subtable in index.subtables if subtable.top >= floor for masked in subtable.fields()]
