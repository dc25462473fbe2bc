"""Turns a small OVN network into ovn-nbctl(8) words: what a cloud asks of OVN, nothing of what OVN makes of it.

    outside ── public (localnet) ── router ─┬─ web  10.0.1.0/24: web1 (c1), web2 (c2)
               172.16.0.0/24                └─ data 10.0.2.0/24: data1 (c1), data2 (c2)

``data`` takes only what its ACLs name; two load balancer addresses lead to its VMs; the router translates ``web`` to
its public address on the chassis ``GATEWAY``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

CHASSIS = ("c1", "c2")
GATEWAY = "c1"
PHYSICAL_NETWORK = "physnet"
ROUTER_MAC = "0a:00:00:00:00:fe"
PUBLIC_MAC = "0a:00:00:00:00:fd"
PUBLIC_ADDRESS = "172.16.0.1"
OUTSIDE_ADDRESS = "172.16.0.100"
OUTSIDE_MAC = "0a:00:00:00:00:99"
VIP_OF_ONE = "10.0.9.1"
"""A load balancer address with one backend, data1."""
VIP_OF_TWO = "10.0.9.2"
"""A load balancer address with two backends, data1 and data2."""


@dataclass(frozen=True, slots=True)
class OvnVm:
    """A VM: a logical switch port, and the chassis it is bound on."""

    name: str
    switch: str
    chassis: str
    number: int

    @property
    def mac(self) -> str:
        """Its Ethernet address."""
        return f"0a:00:00:00:0{2 if self.switch == 'data' else 1}:0{self.number}"

    @property
    def address(self) -> str:
        """Its IPv4 address, in a /24."""
        return f"10.0.{2 if self.switch == 'data' else 1}.{self.number}"

    @property
    def gateway(self) -> str:
        """Its default route."""
        return self.address.rpartition(".")[0] + ".254"


VMS = (
    OvnVm("web1", "web", "c1", 1),
    OvnVm("web2", "web", "c2", 2),
    OvnVm("data1", "data", "c1", 1),
    OvnVm("data2", "data", "c2", 2),
)
BLOCKED = VMS[1]
"""The VM that ``data`` drops in silence (an ACL of a higher priority)."""
ACLS = (
    ("to-lport", 1003, f"outport == @data && ip4.src == {BLOCKED.address} && icmp4", "drop"),
    ("to-lport", 1002, "outport == @data && ip4.src == {10.0.1.1, 10.0.1.2} && tcp.dst == {80, 443, 5432}",
     "allow-related"),
    ("to-lport", 1002, "outport == @data && icmp4", "allow-related"),
    ("to-lport", 1001, "outport == @data && udp", "reject"),
    ("to-lport", 1000, "outport == @data && ip4", "drop"),
    ("from-lport", 1000, "inport == @data && udp.dst == 53", "allow-stateless"),
    ("from-lport", 900, "inport == @data && ip4.dst == 172.16.0.0/24 && tcp.dst == 25", "drop"),
)  # fmt: skip


def northbound() -> list[str]:
    """The whole network as one ovn-nbctl transaction."""
    return [word for command in _commands() for word in ("--", *command)]


def _commands() -> Iterator[tuple[str, ...]]:
    yield "lr-add", "router"
    for switch, third in (("web", 1), ("data", 2)):
        yield "ls-add", switch
        yield from _router_port(switch, f"0a:00:00:00:0{third}:fe", f"10.0.{third}.254/24")
    for vm in VMS:
        yield "lsp-add", vm.switch, vm.name
        yield "lsp-set-addresses", vm.name, f"{vm.mac} {vm.address}"
        yield "lsp-set-port-security", vm.name, f"{vm.mac} {vm.address}"
    yield "pg-add", "data", *(vm.name for vm in VMS if vm.switch == "data")
    for direction, priority, match, verdict in ACLS:
        yield "--type=port-group", "acl-add", "data", direction, str(priority), match, verdict
    yield from _balancers()
    yield from _outside()


def _router_port(switch: str, mac: str, network: str) -> Iterator[tuple[str, ...]]:
    yield "lrp-add", "router", f"router-{switch}", mac, network
    yield "lsp-add", switch, f"{switch}-router"
    yield "lsp-set-type", f"{switch}-router", "router"
    yield "lsp-set-addresses", f"{switch}-router", "router"
    yield "lsp-set-options", f"{switch}-router", f"router-port=router-{switch}"


def _balancers() -> Iterator[tuple[str, ...]]:
    data1, data2 = (vm.address for vm in VMS if vm.switch == "data")
    for name, address, backends in (("one", VIP_OF_ONE, [data1]), ("two", VIP_OF_TWO, [data1, data2])):
        yield "lb-add", name, f"{address}:80", ",".join(f"{backend}:80" for backend in backends)
        yield "ls-lb-add", "web", name


def _outside() -> Iterator[tuple[str, ...]]:
    yield "ls-add", "public"
    yield from _router_port("public", PUBLIC_MAC, f"{PUBLIC_ADDRESS}/24")
    yield "lrp-set-gateway-chassis", "router-public", GATEWAY
    yield "set", "logical_router_port", "router-public", "options:gateway_mtu=1400"
    yield "lsp-add", "public", "localnet"
    yield "lsp-set-type", "localnet", "localnet"
    yield "lsp-set-addresses", "localnet", "unknown"
    yield "lsp-set-options", "localnet", f"network_name={PHYSICAL_NETWORK}"
    yield "lr-nat-add", "router", "snat", PUBLIC_ADDRESS, "10.0.1.0/24"
    yield "lr-route-add", "router", "0.0.0.0/0", OUTSIDE_ADDRESS
    yield "static-mac-binding-add", "router-public", OUTSIDE_ADDRESS, OUTSIDE_MAC
