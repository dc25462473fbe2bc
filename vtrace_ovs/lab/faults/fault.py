"""Turns a fault's name, and the places a caller says, into a Fault with every place filled in."""

from dataclasses import dataclass, replace
from enum import Enum

from vtrace_ovs.errors import UsageError
from vtrace_ovs.model.filter import IPNetwork
from vtrace_ovs.model.overlay import Overlay, OverlayVm
from vtrace_ovs.model.packet import IpFamily


class FaultName(Enum):
    """The faults a lab can have; the catalogue says how each is done."""

    SECURITY_DENY = "security-deny"
    DEFAULT_DENY = "default-deny"
    NO_ROUTE = "no-route"
    BLACKHOLE_ROUTE = "blackhole-route"
    RATE_LIMIT = "rate-limit"
    VSWITCHD_DEAD = "vswitchd-dead"
    UNDERLAY_LINK_DOWN = "underlay-link-down"
    UPLINK_DOWN = "uplink-down"
    PFD_BLACKHOLE = "pfd-blackhole"
    PFD_ACL = "pfd-acl"
    ONE_WAY_LOSS = "one-way-loss"
    PFD_MTU = "pfd-mtu"
    UNDERLAY_LOSSY = "underlay-lossy"
    ECMP_MEMBER = "ecmp-member"
    GUEST_FIREWALL = "guest-firewall"
    GUEST_DOWN = "guest-down"
    NO_LISTENER = "no-listener"
    NEIGHBOUR_UNRESOLVED = "neighbour-unresolved"
    NOT_SENT = "not-sent"
    REPLY_DENY = "reply-deny"
    REMOTE_DENY = "remote-deny"
    EGRESS_DENY = "egress-deny"
    REPLY_NOT_ESTABLISHED = "reply-not-established"
    CONNECTION_INVALID = "connection-invalid"
    UNKNOWN_NEXT_HOP = "unknown-next-hop"
    WRONG_NEXT_HOP = "wrong-next-hop"
    UNKNOWN_DESTINATION = "unknown-destination"
    UNKNOWN_VNI = "unknown-vni"
    VLAN_MISMATCH = "vlan-mismatch"
    WRONG_VTEP = "wrong-vtep"
    ROUTING_LOOP = "routing-loop"
    VTEP_OF_NOBODY = "vtep-of-nobody"
    VTEP_OUTSIDE = "vtep-outside"
    OUTPUT_TO_INGRESS = "output-to-ingress"
    NO_OUTPUT = "no-output"
    EXPLICIT_DROP = "explicit-drop"
    TABLE_MISS = "table-miss"
    DESTINATION_RATE_LIMIT = "destination-rate-limit"
    BANDWIDTH_LIMIT = "bandwidth-limit"
    INGRESS_POLICING = "ingress-policing"
    EGRESS_QUEUE = "egress-queue"
    CONNTRACK_LIMIT = "conntrack-limit"
    PORT_DOWN = "port-down"
    VSWITCHD_HUNG = "vswitchd-hung"
    TUNNEL_UDP_PORT = "tunnel-udp-port"
    TUNNEL_ADDRESS = "tunnel-address"
    TUNNEL_PORT_GONE = "tunnel-port-gone"
    STALE_MEGAFLOW = "stale-megaflow"
    TTL_EXPIRED = "ttl-expired"
    TUNNEL_MTU = "tunnel-mtu"
    FRAGMENTED = "fragmented"
    UNKNOWN_PROTOCOL = "unknown-protocol"
    PRIORITY_OVERLAP = "priority-overlap"
    RECURSION_LIMIT = "recursion-limit"
    RESUBMIT_LIMIT = "resubmit-limit"
    UNSUPPORTED_ACTION = "unsupported-action"
    PORT_GONE = "port-gone"
    PATCH_HALF_WIRED = "patch-half-wired"
    TUNNEL_KEY_MISMATCH = "tunnel-key-mismatch"
    NAT_UNBOUND = "nat-unbound"
    NAT_UNCOMMITTED = "nat-uncommitted"
    LB_WITHOUT_BACKEND = "lb-without-backend"
    LB_DEAD_BACKENDS = "lb-dead-backends"
    SNAT_EXHAUSTED = "snat-exhausted"
    LB_BACKEND_DOWN = "lb-backend-down"
    LB_BACKEND_GONE = "lb-backend-gone"
    ANTI_SPOOFING = "anti-spoofing"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and where it strikes. What is None is chosen by ``resolved``.

    ``vm`` is the destination, for faults of the sender (``FaultKind.of_sender``) the sender. ``rate`` is in packets/s,
    ``percent`` how much is lost. ``switch`` None leaves the choice of an underlay switch to the fault.
    ``family`` is that of the traffic it is about, where it matters.
    """

    name: FaultName
    vm: str | None = None
    protocol: str | None = None
    port: int | None = None
    prefix: IPNetwork | None = None
    rate: int | None = None
    server: str | None = None
    link: str | None = None
    family: IpFamily = IpFamily.IPV4
    switch: str | None = None
    percent: int | None = None


PLACES = ("vm", "protocol", "port", "prefix", "rate", "server", "link", "switch", "percent")
"""What of a fault says where it strikes, and how."""
DEFAULT_PROTOCOL = "tcp"
DEFAULT_PORT = 443
DEFAULT_RATE = 1
DEFAULT_PERCENT = 70
ALL = 100


def fault_named(name: str) -> FaultName:
    """The fault of this name. Raises UsageError that lists them."""
    try:
        return FaultName(name)
    except ValueError as unknown:
        names = ", ".join(fault.value for fault in FaultName)
        raise UsageError(f"no fault {name!r}; there are: {names}") from unknown


def resolved(fault: Fault, overlay: Overlay, *, of_sender: bool) -> Fault:
    """The fault with every place it needs filled in. Raises UsageError for a place that does not exist.

    By default the victim is the last VM of the first tenant (``of_sender``: its first VM), traffic to TCP port 443; the
    route is that to the victim's subnet, the server the victim's, the link the first of the underlay.
    """
    vms = overlay.tenants[0].vms
    default_vm = vms[0] if of_sender else vms[-1]
    names = {vm.name: vm for vm in overlay.vms()}
    vm = names.get(fault.vm or default_vm.name)
    if vm is None:
        raise UsageError(f"no VM {fault.vm!r}; there are: {', '.join(names)}")
    links = ["-".join(link) for link in overlay.underlay.links]
    servers = [server.name for server in overlay.servers]
    if fault.server is not None and fault.server not in servers:
        raise UsageError(f"no server {fault.server!r}; there are: {', '.join(servers)}")
    if fault.link is not None and fault.link not in links:
        raise UsageError(f"no underlay link {fault.link!r}; there are: {', '.join(links)}")
    if fault.switch is not None and fault.switch not in overlay.underlay.switches:
        raise UsageError(f"no underlay switch {fault.switch!r}; there are: {', '.join(overlay.underlay.switches)}")
    if fault.percent is not None and not 1 <= fault.percent <= ALL:
        raise UsageError(f"{fault.percent} percent are not within 1-{ALL}")
    protocol = fault.protocol or DEFAULT_PROTOCOL
    return replace(
        fault,
        vm=vm.name,
        protocol=protocol,
        port=None if protocol == "icmp" else fault.port or DEFAULT_PORT,
        prefix=fault.prefix or _subnet_prefix(overlay, vm, fault.family),
        rate=fault.rate or DEFAULT_RATE,
        server=fault.server or vm.server,
        link=fault.link or (links[0] if links else None),
        percent=fault.percent or DEFAULT_PERCENT,
    )


def victim(overlay: Overlay, fault: Fault) -> OverlayVm:
    """The VM of a resolved fault. Raises UsageError for one that is not resolved."""
    if fault.vm is None:
        raise UsageError(f"fault {fault.name.value} is not resolved")
    return overlay.vm(fault.vm)


def _subnet_prefix(overlay: Overlay, vm: OverlayVm, family: IpFamily) -> IPNetwork:
    subnet = overlay.subnet_of(vm)
    if family is IpFamily.IPV4:
        return subnet.prefix
    if subnet.prefix6 is None:
        raise UsageError(f"{vm.name} has no IPv6 address: the topology gives its subnet no prefix6")
    return subnet.prefix6
