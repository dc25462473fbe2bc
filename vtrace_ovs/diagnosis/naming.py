"""Turns bridges, ports and tables into the words sentences use, and anything a tenant chose into printable text."""

from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.topology import BridgeId, PortKind


def printable(text: str) -> str:
    """The text with everything a terminal might obey, or a reader not see, written as an escape (trap T49)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def port_name(scene: Scene, bridge: BridgeId, ofport: int | None) -> str:
    """``port 3 (vnet0) of cs1/br-int``, as far as it is known."""
    port = scene.places.port(bridge, ofport)
    return name_of_port(bridge, ofport, None if port is None else port.name)


def name_of_port(bridge: BridgeId, ofport: int | None, name: str | None) -> str:
    """The same of a port whose name in the inventory is given."""
    if ofport is None:
        return f"an unnamed port of {bridge}"
    if ofport == OFPP_LOCAL:
        return f"the LOCAL port of {bridge}"
    return f"port {ofport} of {bridge}" if name is None else f"port {ofport} ({name}) of {bridge}"


def endpoint_with(scene: Scene, tenant: str, address: IPAddress) -> str | None:
    """``port 14 (vnet0) of cs3/br-int, the port of db2``: who has this address in a tenant, if the inventory tells."""
    for bridge in scene.topology.vfds():
        for port in bridge.ports:
            if port.kind is PortKind.EDGE and port.tenant == tenant and port.owns(address):
                vm = "" if port.vm is None else f", the port of {port.vm}"
                return f"{port_name(scene, bridge.id, port.ofport)}{vm}"
    return None


def place_name(bridge: BridgeId, table_id: int | None, table_name: str | None) -> str:
    """``cs2/br-int, table 40 (security-group-ingress)``."""
    if table_id is None:
        return str(bridge)
    return f"{bridge}, table {table_id}" + (f" ({table_name})" if table_name else "")


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """``1 packet``, ``41 packets``; ``nouns`` where the plural is not made with s."""
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or f'{noun}s'}"
