"""Turns ports, tasks and armed neighbours into the flows that put a mark on, and only where it will be taken off.

Table ``leave`` is entered with the egress port in place of the ingress port. It mirrors what the next VFD will look
for (same five-tuple or alias, same VNI, an armed VTEP): a packet that NAT made unknown, or that goes to anyone else,
leaves unmarked. Table ``turn``, entered before and after the output, writes the mark and takes it back.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import product

from vtrace_ovs.instrumentation.cookies import CookieKind
from vtrace_ovs.instrumentation.fragments import task_matches
from vtrace_ovs.instrumentation.plan import ArmedTask, Gate
from vtrace_ovs.instrumentation.reach import exactly
from vtrace_ovs.instrumentation.sharing import travels_as
from vtrace_ovs.instrumentation.site import NOWHERE, Site, apply
from vtrace_ovs.instrumentation.state import OUT_OF_TUNNEL
from vtrace_ovs.model.actions import Resubmit
from vtrace_ovs.model.flow import FlowMod
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import ETH_TYPE, IN_PORT, IP_PROTO, TUN_DST, TUN_ID, TUN_IPV6_DST, TUN_IPV6_SRC, TUN_SRC
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.topology import Port, PortKind

UNMARKABLE = 3
"""Above what leaves with a mark."""


def peer_is_armed(site: Site, port: Port) -> bool:
    """Whether a patch port leads to a VFD that takes marks off."""
    here = site.scene.bridges_of.get(site.bridge.id.node, ())
    peer = None if port.peer is None else next((one for one in here if one.port_named(port.peer) is not None), None)
    return peer is not None and peer.id in site.scene.armed


def leads_to_armed_vtep(site: Site, port: Port) -> bool:
    """Whether behind a tunnel port there is a server whose every VFD with a tunnel is armed."""
    vteps = site.scene.vteps
    if port.remote is not None:
        return vteps.get(port.remote) not in (None, site.bridge.id.node)
    return any(node != site.bridge.id.node for node in vteps.values())


def tunnel_keys(port: Port, task: ArmedTask) -> tuple[tuple[MaskedField, ...], ...]:
    """How a task's packets look at a port: in a tunnel, one match on ``tun_id`` per VNI of its tenant.

    One empty match where the VNI says nothing: tunnels with a fixed key, unknown VNIs. None at a patch port that the
    inventory gives to a VNI of another tenant.
    """
    if task.vnis is None or port.key is not None:
        return ((),)
    if port.kind is PortKind.TUNNEL:
        return tuple((exactly(TUN_ID, vni),) for vni in sorted(task.vnis))
    return ((),) if port.vni is None or port.vni in task.vnis else ()


def told_apart(port: Port, one: ArmedTask, other: ArmedTask) -> bool:
    """Whether no packet at this port can look like both tasks', whatever their five-tuples."""
    return not any(a == b or not a or not b for a, b in product(tunnel_keys(port, one), tunnel_keys(port, other)))


def marking_ports(site: Site) -> tuple[Port, ...]:
    """The ports that may lead to a VFD that takes marks off."""
    return tuple(port for port in site.bridge.ports if _destinations(site, port))


def leave(site: Site, port: Port) -> Resubmit:
    """Find out whether the packet may leave through this port with a mark."""
    return Resubmit(port.ofport, site.tables.leave)


def turn(site: Site) -> Resubmit:
    """Write the mark if one is due, else the tenant's own DSCP."""
    return Resubmit(None, site.tables.turn)


def outlet_flows(site: Site) -> Iterator[FlowMod]:
    """The flows of tables ``leave`` and ``turn``.

    Counted packets that came by a tunnel port and leave by one have flows of their own, as Open vSwitch sends none back
    by its own port.
    """
    due = apply(site.state.set_marked(marked=True))
    marked = 1 if site.counting else 0  # the other packets that leave are counted below
    gates = {port: Gate.SENT if port.kind is PortKind.TUNNEL else Gate.ENDED for port in site.bridge.ports}
    for port in marking_ports(site):
        for task in site.tasks:
            names = tuple(travels_as(site, task))
            for match in task_matches(task):
                for key in tunnel_keys(port, task):
                    for destination, name, color in product(_destinations(site, port), names, site.colors):
                        counted = (*site.count(gates[port], color), *due)
                        for above, index in enumerate(_came_by(site, port)):
                            ours = (exactly(IN_PORT, port.ofport), site.state.of_task(name.slot, color, index))
                            whole = match.with_fields(*ours, *key, *destination)
                            place = (site.tables.leave, marked + above)
                            yield site.flow(place, whole, CookieKind.LEAVE, counted, task.slot)
    yield from _tallies(site)
    write = apply(site.state.write_mark(), site.state.set_marked(marked=False))
    for family in site.families:
        is_ip = Match.of(exactly(ETH_TYPE, family))
        yield site.flow((site.tables.turn, 1), is_ip.with_fields(site.state.marked()), CookieKind.TURN, write)
        yield site.flow((site.tables.turn, 0), is_ip, CookieKind.TURN, apply(site.state.restore_dscp()))


def _came_by(site: Site, port: Port) -> tuple[int | None, ...]:
    """The indices that packets leaving by a port are told apart by; None is any."""
    return (None, OUT_OF_TUNNEL) if site.counting and port.kind is PortKind.TUNNEL else (None,)


def _tallies(site: Site) -> Iterator[FlowMod]:
    """Count traced packets of each color that leave without a mark, by port where it is known, and those dropped.

    Those with a mark are counted by the flows of ``leave``.
    """
    yield from _unmarkable(site)
    ports = (NOWHERE, *(port.ofport for port in site.bridge.ports if port.ofport > 0))
    for ofport, color in product(ports, site.colors if site.counting else ()):
        here = Match.of(exactly(IN_PORT, ofport), site.state.traced(color))
        yield site.flow((site.tables.leave, 0), here, CookieKind.TALLY, site.count(Gate.ENDED, color))
    for color in site.colors if site.counting else ():
        here = Match.of(exactly(IN_PORT, NOWHERE), site.state.traced(color))
        yield site.flow((site.tables.turn, 2), here, CookieKind.TALLY, site.count(Gate.DISCARDED, color))


def _unmarkable(site: Site) -> Iterator[FlowMod]:
    """Count what no tunnel carries with a mark: Open vSwitch writes no IP header of a packet of protocol 0 (tried)."""
    if not site.counting:
        return
    tunnels = (port for port in marking_ports(site) if port.kind is PortKind.TUNNEL)
    families = sorted({entry.family for task in site.tasks for entry in task.filters if not entry.protocol})
    for port, family, color in product(tunnels, families, site.colors):
        here = Match.of(exactly(IN_PORT, port.ofport), exactly(ETH_TYPE, family), exactly(IP_PROTO, 0))
        whole = here.with_fields(site.state.traced(color))
        yield site.flow((site.tables.leave, UNMARKABLE), whole, CookieKind.TALLY, site.count(Gate.ENDED, color))


def _destinations(site: Site, port: Port) -> tuple[tuple[MaskedField, ...], ...]:
    """The tunnel destinations behind a port where marks are taken off; one empty match when the port says it all."""
    if port.kind is PortKind.PATCH:
        return ((),) if peer_is_armed(site, port) else ()
    if port.kind is not PortKind.TUNNEL:
        return ()
    if port.remote is not None:
        return ((),) if leads_to_armed_vtep(site, port) else ()
    return tuple((_tunnel_destination(vtep),) for vtep in _reachable_vteps(site))


def _reachable_vteps(site: Site) -> tuple[IPAddress, ...]:
    vteps, here = site.scene.vteps, site.bridge.id.node
    wanted = vteps if site.destinations is None else sorted(site.destinations & vteps.keys(), key=str)
    return tuple(vtep for vtep in wanted if vteps[vtep] != here)


def tunnel_source(vtep: IPAddress) -> MaskedField:
    """Match packets that came from a tunnel endpoint."""
    return exactly(TUN_SRC if isinstance(vtep, IPv4Address) else TUN_IPV6_SRC, int(vtep))


def _tunnel_destination(vtep: IPAddress) -> MaskedField:
    return exactly(TUN_DST if isinstance(vtep, IPv4Address) else TUN_IPV6_DST, int(vtep))
