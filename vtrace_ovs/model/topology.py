"""Where things are: servers, their bridges (VFDs), ports, VTEPs and the VMs behind edge ports."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from vtrace_ovs.model.packet import IPAddress, IpFamily, family_of


class BridgeId(NamedTuple):
    """A bridge's name within its server; printed ``server/bridge``.

    No dataclass, as most dictionaries are keyed by it: a tuple is hashed and compared without running Python code.
    """

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


class PortKind(Enum):
    """What is behind a port: a VM or the outside (edge), another server, another bridge here, or the host."""

    EDGE = "edge"
    TUNNEL = "tunnel"
    PATCH = "patch"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """What a tunnel port takes: its encapsulation (``vxlan``), the UDP port, None where it has none, and our address.

    ``local`` None takes what comes to any address of the server.
    """

    encapsulation: str
    udp_port: int | None
    local: IPAddress | None

    def refusal(self, sender: "TunnelEnd", destination: IPAddress | None) -> str | None:
        """Why this end does not take what ``sender`` sends to an address, as a clause; None when it does."""
        if self.encapsulation != sender.encapsulation:
            return f"takes {self.encapsulation}, not {sender.encapsulation}"
        if self.udp_port != sender.udp_port:
            return f"listens on UDP port {self.udp_port}, not {sender.udp_port}"
        if self.local is not None and destination is not None and self.local != destination:
            return f"has the address {self.local}, not {destination}"
        return None


@dataclass(frozen=True, slots=True)
class Policing:
    """What may come in by a port before its bridge looks at it, in kbit/s, and whether its datapath keeps to that."""

    rate: int
    in_force: bool


@dataclass(frozen=True, slots=True)
class Port:
    """A bridge port. ``vm``, ``tenant`` and ``vni`` come from the interface's ``external_ids`` and may be unknown.

    For a tunnel, ``remote`` None means the flow sets it (``remote_ip=flow``) and ``key`` None means ``key=flow``.
    ``end`` is what else is known of a tunnel port. ``peer`` is the name of a patch port's other end. ``addresses`` are
    those of the VM, of either family. ``mtu`` is in bytes behind the Ethernet header.
    """

    ofport: int
    name: str
    kind: PortKind
    vm: str | None = None
    addresses: tuple[IPAddress, ...] = ()
    mac: str | None = None
    tenant: str | None = None
    vni: int | None = None
    remote: IPAddress | None = None
    key: int | None = None
    peer: str | None = None
    error: str | None = None
    end: TunnelEnd | None = None
    mtu: int | None = None
    policing: Policing | None = None

    def address_of(self, family: IpFamily) -> IPAddress | None:
        """The first known address of a family."""
        return next((address for address in self.addresses if family_of(address) is family), None)

    def owns(self, address: IPAddress) -> bool | None:
        """Whether the VM behind this port has this address; None when none of that family is known."""
        if address in self.addresses:
            return True
        return None if self.address_of(family_of(address)) is None else False


class BridgeRole(Enum):
    """The part a bridge plays. Only vSwitches and vRouters are VFDs; underlay bridges carry the tunnels."""

    VSWITCH = "vswitch"
    VROUTER = "vrouter"
    UNDERLAY = "underlay"


@dataclass(frozen=True, slots=True)
class ManagementSocket:
    """A local bridge: dial ``<rundir>/<bridge>.mgmt`` (design D1)."""

    path: str


@dataclass(frozen=True, slots=True)
class ServiceController:
    """A remote bridge: it dials us through a ``type=service``, out-of-band Controller row (design D1).

    ``ovsdb`` is the connection string of the OVSDB server that holds the bridge.
    """

    ovsdb: str


Attachment = ManagementSocket | ServiceController


@dataclass(frozen=True, slots=True)
class BridgeController:
    """A production controller of a bridge (its OVSDB's Controller row), as it was when it was last seen otherwise.

    ``since`` is when the connection came, or went (Unix seconds); None if there never was one. ``role`` is OpenFlow's.
    """

    target: str
    connected: bool
    role: str | None = field(default=None, compare=False)
    since: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge of the inventory. ``dpid`` is None while vswitchd has not reported one (it may be dead).

    ``southbound`` is the database ovn-controller programs it from, where it does; ``external_ids`` are its row's.
    """

    id: BridgeId
    dpid: int | None
    role: BridgeRole
    ports: tuple[Port, ...]
    attachment: Attachment
    datapath_type: str = ""
    protocols: tuple[str, ...] = ()
    fail_mode: str | None = None
    profile: str | None = None
    tenant: str | None = None
    controllers: tuple[BridgeController, ...] = ()
    southbound: str | None = None
    external_ids: tuple[tuple[str, str], ...] = ()

    def port(self, ofport: int) -> Port | None:
        """The port with this number."""
        return next((port for port in self.ports if port.ofport == ofport), None)

    def port_named(self, name: str) -> Port | None:
        """The port with this name."""
        return next((port for port in self.ports if port.name == name), None)


@dataclass(frozen=True, slots=True)
class Node:
    """A server: its own ovsdb-server and ovs-vswitchd, and its tunnel endpoint addresses.

    ``vlan_limit`` is how many VLAN tags of a packet its ovs-vswitchd looks behind.
    """

    name: str
    ovsdb: str
    vteps: tuple[IPAddress, ...]
    ovs_version: str | None = None
    vlan_limit: int = 1


@dataclass(frozen=True, slots=True)
class Vm:
    """An endpoint the inventory knows: the edge port it is behind."""

    name: str
    bridge: BridgeId
    port: Port


@dataclass(frozen=True, slots=True)
class Topology:
    """All servers and bridges of the inventory."""

    nodes: tuple[Node, ...] = ()
    bridges: tuple[Bridge, ...] = ()

    def node(self, name: str) -> Node | None:
        """The server of this name."""
        return next((node for node in self.nodes if node.name == name), None)

    def bridge(self, bridge_id: BridgeId) -> Bridge | None:
        """The bridge of this id."""
        return next((bridge for bridge in self.bridges if bridge.id == bridge_id), None)

    def vfds(self) -> tuple[Bridge, ...]:
        """The bridges packets are traced on: all but the underlay."""
        return tuple(bridge for bridge in self.bridges if bridge.role is not BridgeRole.UNDERLAY)

    def node_of_vtep(self, address: IPAddress) -> Node | None:
        """The server whose tunnel endpoint has this address."""
        return next((node for node in self.nodes if address in node.vteps), None)

    def vms(self) -> tuple[Vm, ...]:
        """Every named endpoint behind an edge port of a VFD."""
        return tuple(
            Vm(port.vm, bridge.id, port)
            for bridge in self.vfds()
            for port in bridge.ports
            if port.kind is PortKind.EDGE and port.vm is not None
        )

    def vm(self, name: str) -> Vm | None:
        """The endpoint of this name."""
        return next((vm for vm in self.vms() if vm.name == name), None)

    def patch_peer(self, bridge_id: BridgeId, port: Port) -> tuple[Bridge, Port] | None:
        """The other end of a patch port, on the same server.

        Ends are joined only if each names the other (``ofport_update_peer()`` of Open vSwitch).
        """
        for bridge in self.bridges:
            if bridge.id.node == bridge_id.node and port.peer is not None:
                peer = bridge.port_named(port.peer)
                if peer is not None and peer.peer == port.name:
                    return bridge, peer
        return None

    def tunnel_bridges(self, node: str) -> tuple[tuple[Bridge, Port], ...]:
        """The VFDs of a server that have a tunnel port, with that port."""
        return tuple(
            (bridge, port)
            for bridge in self.vfds()
            if bridge.id.node == node
            for port in bridge.ports
            if port.kind is PortKind.TUNNEL
        )

    def vnis_of(self, vni: int) -> frozenset[int] | None:
        """All VNIs of the tenant that owns this one, or None when the inventory does not name the tenant."""
        owner = next((p.tenant for b in self.vfds() for p in b.ports if p.vni == vni and p.tenant), None)
        if owner is None:
            return None
        return frozenset(p.vni for b in self.vfds() for p in b.ports if p.tenant == owner and p.vni is not None)
