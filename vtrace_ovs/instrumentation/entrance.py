"""Turns production's first table into how our flows must stand in it so that nobody notices, not even in megaflows.

Per table Open vSwitch keeps a trie of all address prefixes and ports (tried on 3.1,
``tests/functional/test_instrumentation_equivalence.py``). An address of ours among production's makes megaflows of any
port look at more bits. So where production matches such fields, ours are looked up in a private table. Where ours are
the first flows of packets from a patch port, see ``isolation``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vtrace_ovs.instrumentation.isolation import PLAIN, Layer, isolates, layers
from vtrace_ovs.instrumentation.reach import ADDRESSES_AND_PORTS
from vtrace_ovs.instrumentation.state import StateField
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.topology import Port, PortKind

ENTRY_TABLE = 0
TOP = 65535
BELOW_TOP = 65534


@dataclass(frozen=True, slots=True)
class Entrance:
    """``aside``: five-tuples are looked up in a private table. ``first``: production's flows, if some isolate."""

    aside: bool = False
    first: tuple[Flow, ...] = ()

    def layers(self, port: Port, dscp: int) -> tuple[Layer, ...]:
        """Which packets to keep apart of those that arrive at a port with a mark in place of this DSCP.

        Raises RefusedError where that cannot be told.
        """
        return layers(self.first, port.ofport, dscp) if self.first and port.kind is PortKind.PATCH else PLAIN


def entrance(production: Iterable[Flow], state: StateField) -> Entrance:
    """How to stand among these flows. Only traced packets may get a ``pkt_mark``, so there nothing can stand aside."""
    first = tuple(flow for flow in production if flow.table_id == ENTRY_TABLE)
    shared = any(masked.field in ADDRESSES_AND_PORTS for flow in first for masked in flow.match.fields)
    crowded = any(flow.priority >= BELOW_TOP for flow in first)
    return Entrance(
        aside=shared and not crowded and not state.outlives_the_bridge,
        first=first if any(isolates(flow.instructions) is not False for flow in first) else (),
    )
