"""An overlay as its owner would draw it: servers, tenants, subnets, VMs, security groups, routes and the underlay.

The lab builds one, the inventory finds one, the tests know one: all from the same text (``codecs.overlay_toml``).
"""

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.packet import IPAddress, IpFamily, family_of


class ServerRole(Enum):
    """A compute server holds VMs; a gateway holds the tenants' vRouters."""

    COMPUTE = "compute"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class OverlayServer:
    """A server, its tunnel endpoint address and the underlay switch it is cabled to."""

    name: str
    role: ServerRole
    vtep: IPAddress
    switch: str


class Encapsulation(Enum):
    """How overlay packets cross the underlay, in the words of ``type`` of an Open vSwitch tunnel interface."""

    VXLAN = "vxlan"
    GENEVE = "geneve"
    GRE = "gre"


class UnderlayRouting(Enum):
    """How underlay switches find a VTEP.

    LEARNING: by the MAC addresses they have learnt; their links must be a tree. ECMP: by a route to each VTEP over all
    its shortest ways; of equal ways, packets with one outer source port take the same.
    """

    LEARNING = "learning"
    ECMP = "ecmp"


@dataclass(frozen=True, slots=True)
class Underlay:
    """The physical network: its switches (PFDs), the cables between them and the prefix of all VTEPs."""

    prefix: IPNetwork
    switches: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    encapsulation: Encapsulation = Encapsulation.VXLAN
    routing: UnderlayRouting = UnderlayRouting.LEARNING

    def neighbours(self, switch: str) -> tuple[str, ...]:
        """The switches that this one is cabled to, in the order of the links."""
        return tuple(other if switch == one else one for one, other in self.links if switch in (one, other))


class Direction(Enum):
    """As the VM sees it."""

    INGRESS = "ingress"
    EGRESS = "egress"


class RuleAction(Enum):
    """Deny wins over permit; what no rule permits is denied."""

    PERMIT = "permit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One stateless rule. ``number`` is its place in its group from 1, and stays when other rules come and go.

    ``protocol`` (``icmp``, ``tcp``, ``udp``), destination ``port`` and ``remote`` (the other end) None mean any.
    """

    number: int
    direction: Direction
    action: RuleAction
    protocol: str | None = None
    port: int | None = None
    remote: IPNetwork | None = None

    @property
    def families(self) -> tuple[IpFamily, ...]:
        """That of the remote; both where anybody may be the other end."""
        return tuple(IpFamily) if self.remote is None else (family_of(self.remote.network_address),)


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A named list of rules. ``number`` (from 1, unique in the overlay) is what cookies carry."""

    number: int
    name: str
    tenant: str
    rules: tuple[SecurityRule, ...]


@dataclass(frozen=True, slots=True)
class OverlaySubnet:
    """A subnet of a tenant and the VNI that carries it. ``gateway`` is the vRouter's address in it.

    ``prefix6`` and ``gateway6`` are those of IPv6, None where it has none. ``server`` is the gateway server whose
    vRouter its VMs send to, None where that is the first.
    """

    name: str
    tenant: str
    vni: int
    prefix: IPv4Network
    gateway: IPv4Address
    gateway_mac: str
    prefix6: IPv6Network | None = None
    gateway6: IPv6Address | None = None
    server: str | None = None

    @property
    def families(self) -> tuple[IpFamily, ...]:
        """What its VMs speak."""
        return (IpFamily.IPV4,) if self.prefix6 is None else (IpFamily.IPV4, IpFamily.IPV6)


@dataclass(frozen=True, slots=True)
class OverlayVm:
    """A VM: where it is, its addresses, and the names of its security groups (of the same tenant).

    ``answered``: its server answers its ARP requests.
    """

    name: str
    tenant: str
    server: str
    subnet: str
    address: IPv4Address
    mac: str
    groups: tuple[str, ...]
    answered: bool = True
    address6: IPv6Address | None = None

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Its address of each family it has."""
        return (self.address,) if self.address6 is None else (self.address, self.address6)


@dataclass(frozen=True, slots=True)
class OverlayRoute:
    """A route of a tenant's vRouter to one of its subnets; ``subnet`` None is a blackhole. ``number`` as in rules."""

    number: int
    prefix: IPNetwork
    subnet: str | None


class NatKind(Enum):
    """Who is translated: SNAT the sender, DNAT the addressee, both with conntrack; STATELESS one address for one."""

    SNAT = "snat"
    DNAT = "dnat"
    STATELESS = "stateless"


@dataclass(frozen=True, slots=True)
class NatRule:
    """One translation of a tenant's vRouter. ``number`` as in rules.

    ``inside`` are the senders (``snat``), else the addresses of VMs; with several of them ``dnat`` balances. A rule for
    one ``protocol`` and ``port`` leaves other traffic to ``outside`` alone. ``toward`` narrows ``snat`` to some
    destinations; None means all. All are of one family.
    """

    number: int
    kind: NatKind
    outside: IPAddress
    inside: tuple[IPNetwork, ...]
    protocol: str | None = None
    port: int | None = None
    toward: IPNetwork | None = None

    @property
    def family(self) -> IpFamily:
        """The family of what it translates."""
        return family_of(self.outside)

    @property
    def balances(self) -> bool:
        """Whether each connection is given to one of several VMs."""
        return self.kind is NatKind.DNAT and len(self.inside) > 1


@dataclass(frozen=True, slots=True)
class Tenant:
    """Everything of one tenant."""

    name: str
    subnets: tuple[OverlaySubnet, ...]
    groups: tuple[SecurityGroup, ...]
    vms: tuple[OverlayVm, ...]
    routes: tuple[OverlayRoute, ...]
    nat: tuple[NatRule, ...] = ()

    def subnet(self, name: str) -> OverlaySubnet:
        """The subnet of this name. Raises KeyError."""
        return _named(self.subnets, name)

    def group(self, name: str) -> SecurityGroup:
        """The security group of this name. Raises KeyError."""
        return _named(self.groups, name)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a VM may send: packets per second, and the burst in packets."""

    vm: str
    packets_per_second: int
    burst: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A whole overlay. Names of servers, switches and VMs are unique in it, and so are VNIs; addresses are not."""

    name: str
    underlay: Underlay
    servers: tuple[OverlayServer, ...]
    tenants: tuple[Tenant, ...]
    rate_limits: tuple[RateLimit, ...] = ()

    def server(self, name: str) -> OverlayServer:
        """The server of this name. Raises KeyError."""
        return _named(self.servers, name)

    def tenant(self, name: str) -> Tenant:
        """The tenant of this name. Raises KeyError."""
        return _named(self.tenants, name)

    def vms(self) -> tuple[OverlayVm, ...]:
        """The VMs of all tenants, in order."""
        return tuple(vm for tenant in self.tenants for vm in tenant.vms)

    def vm(self, name: str) -> OverlayVm:
        """The VM of this name. Raises KeyError."""
        return _named(self.vms(), name)

    def vms_on(self, server: str) -> tuple[OverlayVm, ...]:
        """The VMs of one server."""
        return tuple(vm for vm in self.vms() if vm.server == server)

    def subnet_of(self, vm: OverlayVm) -> OverlaySubnet:
        """The subnet a VM is in."""
        return self.tenant(vm.tenant).subnet(vm.subnet)

    def gateway(self) -> OverlayServer:
        """The first server that holds vRouters. Raises KeyError when there is none."""
        for server in self.gateways():
            return server
        raise KeyError("gateway")

    def gateways(self) -> tuple[OverlayServer, ...]:
        """The servers that hold vRouters: each has one of every tenant, joined to all of its subnets."""
        return tuple(server for server in self.servers if server.role is ServerRole.GATEWAY)

    def gateway_of(self, subnet: OverlaySubnet) -> OverlayServer:
        """The gateway server whose vRouter the VMs of a subnet send to."""
        return self.gateway() if subnet.server is None else self.server(subnet.server)

    def rate_limit(self, vm: str) -> RateLimit | None:
        """The rate limit of a VM, if it has one."""
        return next((limit for limit in self.rate_limits if limit.vm == vm), None)


def with_tenant(overlay: Overlay, tenant: Tenant) -> Overlay:
    """The overlay with this tenant in place of the one of its name."""
    tenants = tuple(tenant if known.name == tenant.name else known for known in overlay.tenants)
    return replace(overlay, tenants=tenants)


_Noun = TypeVar("_Noun", OverlayServer, OverlaySubnet, SecurityGroup, OverlayVm, Tenant)


def _named(nouns: tuple[_Noun, ...], name: str) -> _Noun:
    for noun in nouns:
        if noun.name == name:
            return noun
    raise KeyError(name)
