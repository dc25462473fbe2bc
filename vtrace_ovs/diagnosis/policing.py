"""Turns the ports where traffic comes in, or may, into what is said of their ingress policing.

Where it is in force, what exceeds it is dropped before any flow: no device that we watch sees such a packet, and
nothing that Open vSwitch counts tells of it.
"""

from collections.abc import Iterable, Iterator

from vtrace_ovs.diagnosis.naming import counted, port_name
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.entrances import entrances
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory

MOST_PORTS = 3
"""So many ports are named."""
_DROPS = "what exceeds that is dropped before any flow sees it, and not in this result"
_IGNORED = "Open vSwitch's own datapath does not keep to that"


def policed_entrances(request: TraceRequest, scene: Scene) -> str | None:
    """The ports where the traffic may come in only as fast as policing lets it, as a clause; None if there are none."""
    places = ((bridge, port.ofport) for bridge, port in entrances(scene.topology, request))
    limits = tuple(_limits(places, scene, in_force=True))
    more = f", and {counted(len(limits) - MOST_PORTS, 'port')} more" if len(limits) > MOST_PORTS else ""
    return f"{', '.join(limits[:MOST_PORTS])}{more}" if limits else None


def policing_notes(ways: Iterable[Trajectory], scene: Scene) -> Iterator[str]:
    """What is to be known of the ports by which traced packets did come in."""
    entered = dict.fromkeys((way.hops[0].bridge, way.hops[0].in_port) for way in ways if way.hops)
    yield from (f"{limit}: {_DROPS}" for limit in _limits(entered, scene, in_force=True))
    yield from (f"{limit}: {_IGNORED}" for limit in _limits(entered, scene, in_force=False))


def _limits(places: Iterable[tuple[BridgeId, int | None]], scene: Scene, *, in_force: bool) -> Iterator[str]:
    for bridge, ofport in places:
        port = scene.places.port(bridge, ofport)
        if port is not None and port.policing is not None and port.policing.in_force is in_force:
            limit = f"limited to {port.policing.rate} kbit/s (ingress_policing_rate)"
            yield f"{port_name(scene, bridge, ofport)} is {limit}"
