"""Turns "the bridge confirmed our flows" into "its datapath follows them", on a hub thread per server.

A barrier says that the OpenFlow tables have changed. Packets follow the datapath's cached flows, which ovs-vswitchd
brings in line a little later (its revalidators, ovs-vswitchd(8)): until then a colored packet would pass a VFD unseen,
and reach its VM with our mark. So we wait for two whole rounds of the revalidators: one may have begun before our last
change, and a cached flow made from the old tables may still be put in behind it. A round begins at once when a flow
changes, so one of ours is sent again for each.
"""

from collections.abc import Callable

from vtrace_ovs.controller.seam import cooperative, hub
from vtrace_ovs.controller.settings import BLIND_WAIT
from vtrace_ovs.model.topology import Bridge
from vtrace_ovs.session.boundary import RoundWaiter

ROUNDS = 2


class Settler:
    """``wait_rounds`` blocks its hub thread until they are over."""

    def __init__(self, wait_rounds: RoundWaiter) -> None:
        self._wait_rounds = wait_rounds

    def settle(self, bridge: Bridge, touch: Callable[[], None], done: Callable[[], None]) -> None:
        """Call ``done`` once the datapath follows; ``touch`` sends a flow of ours again. Both on a hub thread."""
        hub.spawn(self._work, bridge, touch, done)

    def _work(self, bridge: Bridge, touch: Callable[[], None], done: Callable[[], None]) -> None:
        if not self._wait_rounds(bridge, ROUNDS, touch, cooperative):
            hub.sleep(BLIND_WAIT)
        done()
