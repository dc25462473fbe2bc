"""Turns output to NORMAL into ports, when the MAC table and the VLANs of the ports are given.

Source: ``xlate_normal()`` and ``output_normal()`` in ``ofproto/ofproto-dpif-xlate.c`` (Open vSwitch 3.1), without
bonds, mirrors, spanning tree and multicast snooping.
"""

from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.mac_table import MacTable
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import VLAN_PRESENT, PacketState
from vtrace_ovs.walker.undecided import Unknown

_MULTICAST = 1 << 40
_RESERVED = 0x0180C2000000
_RESERVED_MASK = 0xFFFFFFFFFFF0
_VID = 0xFFF
_ADDRESSED = layout.bits_of("eth_dst", "vlan_tci")


def switched(view: BridgeView, state: PacketState) -> tuple[tuple[int, int], ...] | Unknown:
    """(port, packed packet) of every copy a learning switch sends; Unknown names the ports it may choose from."""
    table, ports = view.mac_table, view.flooded()
    candidates = [port for port in ports or () if port != state.in_port]
    if table is None or ports is None or state.unknown & _ADDRESSED:
        named = ", ".join("LOCAL" if port == OFPP_LOCAL else str(port) for port in candidates) or "nobody stored"
        return Unknown(f"NORMAL forwards by the MAC table, which is not known; it may use the ports {named}")
    vlan = _vlan_of(table, state)
    destination = layout.read(state.packed, "eth_dst")
    if vlan is None or destination & _RESERVED_MASK == _RESERVED or state.in_port not in ports:
        return ()
    learned = None if destination & _MULTICAST else table.port(destination, vlan)
    chosen = candidates if learned is None else [port for port in candidates if port == learned]
    flooding = learned is None
    return tuple(
        (port, _tagged(table, state.packed, port, vlan))
        for port in chosen
        if not flooding or table.access_vlan(port) in {None, vlan}
    )


def _vlan_of(table: MacTable, state: PacketState) -> int | None:
    """The VLAN a packet belongs to; None when its ingress port is an access port and it is tagged already."""
    vid = layout.read(state.packed, "vlan_tci") & _VID
    access = table.access_vlan(state.in_port)
    if access is None:
        return vid
    return None if vid else access


def _tagged(table: MacTable, packed: int, port: int, vlan: int) -> int:
    """The packet as this port sends it: an access port without a tag, a trunk with the VLAN's tag unless it is 0."""
    tci = layout.read(packed, "vlan_tci")
    tagged = table.access_vlan(port) is None and vlan
    return layout.replaced(packed, "vlan_tci", tci & ~_VID | VLAN_PRESENT | vlan if tagged else 0)
