"""Turns a packet that left by a tunnel and the MTU of the server's uplinks into a finding, if no uplink can carry it.

ovs-vswitchd's own datapath does not fragment: what is longer than the MTU behind its outer headers is an error of the
uplink's socket, which only the daemon's log tells (Open vSwitch 3.1: "error sending Ethernet packet: Message too long";
no counter of a port moves).
"""

from vtrace_ovs.diagnosis.case import Case, Finding, deduced, seen
from vtrace_ovs.diagnosis.naming import port_name
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.places import Onward
from vtrace_ovs.model.topology import Bridge, BridgeRole, Port, PortKind
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition

IP_HEADERS = {4: 20, 6: 40}
LEAST_OVERHEAD = {"vxlan": 16, "geneve": 16, "gre": 4}
"""Bytes between the outer IP header and the tenant's frame without options: UDP and VXLAN, UDP and Geneve, GRE."""
ETHERNET = 14
USERSPACE = "netdev"
"""The type of a datapath that ovs-vswitchd itself is."""


def too_large(case: Case, onward: Onward) -> Finding | None:
    """Longer behind its outer headers than any uplink of its server carries."""
    hop, places = case.hop, case.scene.places
    bridge, port = places.bridge(hop.bridge), places.port(hop.bridge, hop.out_port)
    overhead = None if bridge is None or port is None else _overhead(bridge, port, onward.destination)
    uplink = None if overhead is None else _widest_uplink(case, hop.bridge.node)
    if overhead is None or uplink is None or hop.headers_out is None:
        return None
    length, (name, mtu) = hop.headers_out.length + overhead, uplink
    if length <= mtu:
        return None
    sizes = (
        f"its frame of {hop.headers_out.length} bytes is {length} behind the outer headers, "
        f"and {name} carries {mtu} at most"
    )
    where = port_name(case.scene, hop.bridge, hop.out_port)
    return Finding(
        disposition=Disposition.DROPPED,
        code=CauseCode.TUNNEL_MTU,
        confidence=Confidence.INFERRED,
        particulars=Particulars(
            place=str(hop.bridge),
            detail=f"{sizes}. The sender's MTU may be {mtu - overhead - ETHERNET} at most",
        ),
        culprit=Culprit(hop.bridge.node, hop.bridge),
        evidence=(
            seen(f"{hop.bridge} logged the packet just before it left by {where}."),
            deduced(f"By the inventory, {sizes}."),
        ),
    )


def _overhead(bridge: Bridge, port: Port, destination: IPAddress | None) -> int | None:
    """The least the tunnel adds to a frame (bytes); None where that is not known, or the kernel may fragment."""
    if bridge.datapath_type != USERSPACE or port.end is None or destination is None:
        return None
    least = LEAST_OVERHEAD.get(port.end.encapsulation)
    return None if least is None else least + IP_HEADERS[destination.version]


def _widest_uplink(case: Case, node: str) -> tuple[str, int] | None:
    """The port of the server's underlay bridges that carries most; None if that is not known."""
    uplinks = [
        (f"{port.name} of {bridge.id}", port.mtu)
        for bridge in case.scene.topology.bridges
        if bridge.id.node == node and bridge.role is BridgeRole.UNDERLAY
        for port in bridge.ports
        if port.kind is PortKind.EDGE
    ]
    known = [(name, mtu) for name, mtu in uplinks if mtu is not None]
    return max(known, key=lambda uplink: uplink[1]) if known and len(known) == len(uplinks) else None
