"""Turns output to NORMAL into ports, when the MAC table and the VLANs of the ports are given.

Source: ``xlate_normal()`` and ``output_normal()`` in ``ofproto/ofproto-dpif-xlate.c`` (Open vSwitch 3.1). Bonds,
mirrors, spanning tree and multicast snooping are what a MacTable calls unmodelled.
"""

from typing import NamedTuple

from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.mac_table import SwitchPort, VlanMode
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import VLAN_PRESENT, PacketState
from vtrace_ovs.walker.undecided import Unknown

_MULTICAST = 1 << 40
_RESERVED = 0x0180C2000000
_RESERVED_MASK = 0xFFFFFFFFFFF0
_VID = 0xFFF
_ADDRESSED = layout.bits_of("eth_dst", "vlan_tci")


class _Tags(NamedTuple):
    """The VLANs of a packet inside the switch: VID and priority of the outer tag and of the inner one."""

    outer: int
    inner: int

    @property
    def vlan(self) -> int:
        return self.outer & _VID


def switched(view: BridgeView, state: PacketState) -> tuple[tuple[int, int], ...] | Unknown:
    """(port, packed packet) of every copy a learning switch sends; Unknown names the ports it may choose from."""
    table, ports = view.mac_table, view.flooded()
    candidates = [port for port in ports or () if port != state.in_port]
    if table is None or ports is None or state.unknown & _ADDRESSED:
        return Unknown(
            f"NORMAL forwards by the MAC table, which is not known; it may use the ports {_named(candidates)}"
        )
    if table.unmodelled is not None:
        return Unknown(f"NORMAL is not predicted here, because {table.unmodelled}; it may use {_named(candidates)}")
    arrived = table.setting(state.in_port)
    tags = _Tags(_tag(layout.read(state.packed, "vlan_tci")), _tag(layout.read(state.packed, layout.INNER_VLAN)))
    destination = layout.read(state.packed, "eth_dst")
    if not _admitted(arrived, tags) or destination & _RESERVED_MASK == _RESERVED or state.in_port not in ports:
        return ()
    tags = _inside(arrived, tags)
    learned = None if destination & _MULTICAST else table.port(destination, tags.vlan)
    if learned is not None:
        chosen = [table.setting(port) for port in candidates if port == learned]
    else:
        chosen = [table.setting(port) for port in candidates if table.floods_to(port)]
        chosen = [port for port in chosen if port.carries(tags.vlan) and not (_strips(port) and tags.inner & _VID)]
    return tuple((port.port, _sent(state.packed, port, tags)) for port in chosen)


def _named(ports: list[int]) -> str:
    return ", ".join("LOCAL" if port == OFPP_LOCAL else str(port) for port in ports) or "nobody stored"


def _tag(tci: int) -> int:
    return tci & ~VLAN_PRESENT if tci & VLAN_PRESENT else 0


def _strips(port: SwitchPort) -> bool:
    return port.mode is VlanMode.ACCESS


def _admitted(port: SwitchPort, tags: _Tags) -> bool:
    if port.mode is VlanMode.ACCESS:
        return not tags.vlan
    return port.carries(tags.vlan) or (port.mode is not VlanMode.TRUNK and not tags.vlan)


def _inside(port: SwitchPort, tags: _Tags) -> _Tags:
    if port.mode is VlanMode.ACCESS:
        return _Tags(tags.outer | port.vlan, 0)
    if port.mode is not VlanMode.TRUNK and not tags.vlan:
        return _Tags(tags.outer | port.vlan, tags.inner)
    return tags


def _sent(packed: int, port: SwitchPort, tags: _Tags) -> int:
    """The packet as this port sends it. A tag of VLAN 0 and priority 0 is no tag."""
    if port.mode is VlanMode.ACCESS:
        tags = _Tags(0, 0)
    elif port.mode is VlanMode.NATIVE_UNTAGGED and tags.vlan == port.vlan:
        tags = _Tags(tags.inner, 0)
    for name, tag in (("vlan_tci", tags.outer), (layout.INNER_VLAN, tags.inner)):
        packed = layout.replaced(packed, name, tag | VLAN_PRESENT if tag else 0)
    return packed
