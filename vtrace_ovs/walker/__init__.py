"""Turns stored flow tables and one packet into its predicted Trajectory (design D7). Pure, and held against OVS itself.

Reading order: ``walk`` (bridge after bridge), ``evaluation`` (one bridge: ``translation`` is a pass, ``execution`` one
action of it, ``outputs``, ``groups``, ``conntrack`` and ``learning_switch`` the larger ones), ``state`` and ``layout``
(the packet as one integer), ``index`` (tuple-space search), ``network`` (what a walk may know), ``guidance`` (what of
the rest may be known from how a packet was seen to leave), ``hops``, ``near_miss``,
``examined`` and ``reading`` (what it tells).

``Network.build(topology, tables, ignore)`` once per reading of the tables, then ``walk(network, start, settings)`` per
packet. One bridge on its own: ``evaluate(BridgeView(tables), frame.packed_state(headers, in_port, tunnel), …)``. What
is not modelled, or not known, ends a branch as ``Ending.UNKNOWN`` with its name in ``Hop.unsupported`` or
``Hop.note``; it is never guessed at.
"""

from vtrace_ovs.walker.examined import looked_at
from vtrace_ovs.walker.network import BridgeView, Network
from vtrace_ovs.walker.walk import WalkSettings, WalkStart, walk

__all__ = ["BridgeView", "Network", "WalkSettings", "WalkStart", "looked_at", "walk"]
