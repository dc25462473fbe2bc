"""Turns production's first table into how our flows must stand in it so that nobody notices, not even in megaflows.

Two things Open vSwitch does there (both tried on 3.1, ``tests/functional/test_instrumentation_equivalence.py``):

- Per table it keeps a trie of all address prefixes and ports. An address of ours among production's makes megaflows of
  any port look at more bits. So where production matches such fields, ours are looked up in a private table.
- A packet that comes through a patch port is put into a ``clone`` of its own when the first flow it hits does what
  cannot be undone (``reversible_actions`` in ofproto-dpif-xlate.c). Ours stand before that flow, so they do so too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.instrumentation.walk import action_lists
from vtrace_ovs.model.actions import Action, Conntrack, Instruction, Meter, Nat, Output, UnknownAction
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import (
    IN_PORT,
    IPV4_DST,
    IPV4_SRC,
    IPV6_DST,
    IPV6_SRC,
    TCP_DST,
    TCP_SRC,
    UDP_DST,
    UDP_SRC,
)

ENTRY_TABLE = 0
TOP = 65535
BELOW_TOP = 65534
IN_TRIES = frozenset({IPV4_SRC, IPV4_DST, IPV6_SRC, IPV6_DST, TCP_SRC, TCP_DST, UDP_SRC, UDP_DST})
TRUNCATED = 64


@dataclass(frozen=True, slots=True)
class Entrance:
    """``aside``: five-tuples are looked up in a private table. ``final``: matches of flows that cannot be undone."""

    aside: bool = False
    final: tuple[Match, ...] = ()

    def isolation(self, ofport: int) -> tuple[Action, ...]:
        """What a flow for packets from this patch port starts with, so that they have a ``clone`` if production's have.

        Truncated output to the port a packet came from does nothing, and cannot be undone.
        """
        here = Match.of(MaskedField(IN_PORT, ofport, IN_PORT.full_mask))
        needed = any(match.overlaps(here) for match in self.final)
        return (Output(ofport, TRUNCATED),) if needed else ()


def entrance(production: Iterable[Flow], state: StateField) -> Entrance:
    """How to stand among these flows. Only traced packets may get a ``pkt_mark``, so there nothing can stand aside."""
    first = tuple(flow for flow in production if flow.table_id == ENTRY_TABLE)
    shared = any(masked.field in IN_TRIES for flow in first for masked in flow.match.fields)
    crowded = any(flow.priority >= BELOW_TOP for flow in first)
    return Entrance(
        aside=shared and not crowded and not state.outlives_the_bridge,
        final=tuple(flow.match for flow in first if _final(flow.instructions)),
    )


def _final(instructions: tuple[Instruction, ...]) -> bool:
    if any(isinstance(instruction, Meter) for instruction in instructions):
        return True
    return any(_irreversible(action) for actions, _ in action_lists(instructions) for action in actions)


def _irreversible(action: Action) -> bool:
    return isinstance(action, Conntrack | Nat | Meter | UnknownAction) or (
        isinstance(action, Output) and action.max_len > 0
    )
