"""Turns an output to a tunnel port into the tunnel the packet leaves by: VNI and outer addresses.

Source: ``tnl_port_send()`` in ``ofproto/tunnel.c`` (Open vSwitch 3.1): what the port fixes wins over what the flow set.
"""

from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.packet import IPAddress, Tunnel
from vtrace_ovs.model.places import Places
from vtrace_ovs.model.topology import BridgeId, Port
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.state import PacketState

_OPTION = layout.bits_of("tun_metadata0")
"""Both ends of a tunnel are taken to map the same option to it, as under OVN."""


def left_through(places: Places, bridge: BridgeId, port: Port, state: PacketState) -> Tunnel:
    """The tunnel of a packet sent to ``port``. The source is the sender's VTEP of the destination's family."""
    vni = layout.read(state.packed, "tun_id") if port.key is None else port.key
    destination = _set_destination(state.packed) if port.remote is None else port.remote
    node = places.topology.node(bridge.node)
    vteps = () if node is None else node.vteps
    version = 4 if destination is None else destination.version
    source = next((vtep for vtep in vteps if vtep.version == version), None)
    option = None if state.unknown & _OPTION else layout.read(state.packed, "tun_metadata0")
    return Tunnel(vni, source, destination, option)


def _set_destination(packed: int) -> IPAddress | None:
    if address := layout.read(packed, "tun_dst"):
        return IPv4Address(address)
    if address := layout.read(packed, "tun_ipv6_dst"):
        return IPv6Address(address)
    return None
