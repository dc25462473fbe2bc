"""Turns a Topology into constant-time answers to one question: where does what leaves by this port arrive?"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.packet import IPAddress, Tunnel
from vtrace_ovs.model.topology import Bridge, BridgeId, Port, PortKind, Topology


@dataclass(frozen=True, slots=True)
class Onward:
    """What is behind an output. ``kind`` None: the port is not in the inventory.

    ``arrivals`` are the (VFD, ofport) pairs it may arrive at, all on server ``node``; empty for a tunnel or patch
    means that the other end is outside the inventory. ``destination`` is the outer destination address; ``refusals``
    say of every tunnel port of the server that does not take it why not.
    """

    kind: PortKind | None
    node: str | None = None
    arrivals: tuple[tuple[BridgeId, int], ...] = ()
    destination: IPAddress | None = None
    refusals: tuple[tuple[BridgeId, str], ...] = ()


NOWHERE = Onward(None)
HOST = Onward(PortKind.LOCAL)
ENDPOINT = Onward(PortKind.EDGE)

_AddressKey = int | IPv6Address | None


def _key(address: IPAddress | None) -> _AddressKey:
    """What dictionaries know an address by: a number is hashed without running Python code."""
    return int(address) if isinstance(address, IPv4Address) else address


class Places:
    """A Topology's VFDs and ports by their keys. Build it once per topology; it never changes."""

    __slots__ = ("_arrivals", "_bridges", "_onward", "_ports", "_tenants", "_vni_tenant", "_vtep_nodes", "topology")

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        vfds = topology.vfds()
        self._bridges = {bridge.id: bridge for bridge in vfds}
        self._ports = {(bridge.id, port.ofport): port for bridge in vfds for port in bridge.ports}
        self._vtep_nodes = {_key(address): node.name for node in topology.nodes for address in node.vteps}
        self._arrivals: dict[str, list[tuple[BridgeId, Port]]] = {}
        self._vni_tenant: dict[int, str] = {}
        self._onward: dict[tuple[BridgeId, int, tuple[int, _AddressKey] | None], Onward] = {}
        self._tenants: dict[tuple[BridgeId, int | None], str | None] = {}
        for (bridge_id, _), port in self._ports.items():
            if port.kind is PortKind.TUNNEL:
                self._arrivals.setdefault(bridge_id.node, []).append((bridge_id, port))
            if port.vni is not None and port.tenant is not None:
                self._vni_tenant[port.vni] = port.tenant

    def bridge(self, bridge_id: BridgeId) -> Bridge | None:
        """The VFD of this id."""
        return self._bridges.get(bridge_id)

    def port(self, bridge_id: BridgeId, ofport: int | None) -> Port | None:
        """A port of a VFD."""
        return None if ofport is None else self._ports.get((bridge_id, ofport))

    def node_of_vtep(self, address: IPAddress | None) -> str | None:
        """The server whose tunnel endpoint has this address."""
        return self._vtep_nodes.get(_key(address))

    def tenant_of(self, bridge_id: BridgeId, ofport: int | None, tunnel: Tunnel | None) -> str | None:
        """Whose traffic passes this port (in this tunnel), when the inventory tells."""
        if tunnel is not None:
            return self._vni_tenant.get(tunnel.vni)
        key = (bridge_id, ofport)
        try:
            return self._tenants[key]
        except KeyError:
            tenant = self._tenants[key] = self._find_tenant(bridge_id, ofport)
            return tenant

    def _find_tenant(self, bridge_id: BridgeId, ofport: int | None) -> str | None:
        port = self.port(bridge_id, ofport)
        if port is not None:
            if port.tenant is not None:
                return port.tenant
            if port.vni is not None:
                return self._vni_tenant.get(port.vni)
            if port.kind is PortKind.PATCH:
                peer = self.topology.patch_peer(bridge_id, port)
                if peer is not None and peer[0].tenant is not None:
                    return peer[0].tenant
        bridge = self._bridges.get(bridge_id)
        return None if bridge is None else bridge.tenant

    def sources(
        self, bridge_id: BridgeId, in_port: int | None, tunnel: Tunnel | None
    ) -> tuple[tuple[BridgeId, int], ...]:
        """The (VFD, ofport) pairs that traffic arriving here may have left by; empty when it came from elsewhere.

        Without a known outer source that is every other server's tunnel port.
        """
        port = self.port(bridge_id, in_port)
        if port is None:
            return ()
        if port.kind is PortKind.PATCH:
            peer = self.topology.patch_peer(bridge_id, port)
            return () if peer is None or peer[0].id not in self._bridges else ((peer[0].id, peer[1].ofport),)
        if port.kind is not PortKind.TUNNEL:
            return ()
        address = tunnel.source if tunnel is not None and tunnel.source is not None else port.remote
        node = self.node_of_vtep(address)
        if node is None and address is not None:
            return ()
        nodes = (node,) if node is not None else tuple(name for name in self._arrivals if name != bridge_id.node)
        return tuple(
            (origin, near.ofport)
            for name in nodes
            for origin, near in self._arrivals.get(name, ())
            if near.remote is None or self.node_of_vtep(near.remote) == bridge_id.node
        )

    def onward(self, bridge_id: BridgeId, out_port: int, tunnel: Tunnel | None) -> Onward:
        """Where an output of a VFD leads. ``tunnel`` is the tunnel it leaves by, as far as it is known."""
        # Nothing else of the tunnel decides it.
        key = (bridge_id, out_port, None if tunnel is None else (tunnel.vni, _key(tunnel.destination)))
        found = self._onward.get(key)
        if found is None:
            found = self._onward[key] = self._find_onward(bridge_id, out_port, tunnel)
        return found

    def _find_onward(self, bridge_id: BridgeId, out_port: int, tunnel: Tunnel | None) -> Onward:
        if out_port == OFPP_LOCAL:
            return HOST
        port = self._ports.get((bridge_id, out_port))
        if port is None:
            return NOWHERE
        if port.kind is PortKind.EDGE:
            return ENDPOINT
        if port.kind is PortKind.LOCAL:
            return HOST
        if port.kind is PortKind.PATCH:
            peer = self.topology.patch_peer(bridge_id, port)
            arrivals = () if peer is None or peer[0].id not in self._bridges else ((peer[0].id, peer[1].ofport),)
            return Onward(PortKind.PATCH, bridge_id.node, arrivals)
        return self._across_tunnel(bridge_id, port, tunnel)

    def _across_tunnel(self, bridge_id: BridgeId, port: Port, tunnel: Tunnel | None) -> Onward:
        destination = port.remote
        if tunnel is not None and tunnel.destination is not None:
            destination = tunnel.destination
        node = self.node_of_vtep(destination)
        if node is None:
            return Onward(PortKind.TUNNEL, None, (), destination)
        key = port.key if tunnel is None else tunnel.vni
        answers = [
            (arrival, far, self._refusal(bridge_id.node, port, far, key, destination))
            for arrival, far in self._arrivals.get(node, ())
        ]
        arrivals = tuple((arrival, far.ofport) for arrival, far, refusal in answers if refusal is None)
        refusals = tuple(
            (one, f"{far.name} of {one} {refusal}") for one, far, refusal in answers if refusal is not None
        )
        return Onward(PortKind.TUNNEL, node, arrivals, destination, refusals)

    def _refusal(
        self, sender: str, port: Port, far: Port, key: int | None, destination: IPAddress | None
    ) -> str | None:
        """Why a tunnel port does not take what another server sends by ``port``, as a clause; None when it does."""
        if far.remote is not None and self.node_of_vtep(far.remote) != sender:
            return f"takes only what {far.remote} sends"
        if far.key is not None and key is not None and far.key != key:
            return f"takes only the key {far.key}, not {key}"
        return None if far.end is None or port.end is None else far.end.refusal(port.end, destination)
