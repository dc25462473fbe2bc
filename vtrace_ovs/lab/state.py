"""What a lab is made of, as other processes see it: servers, switches, VMs, NAT and the faults in force."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.lab.faults.fault import Fault
from vtrace_ovs.model.overlay import NatRule
from vtrace_ovs.model.packet import IPAddress


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server or underlay switch: the pid whose namespace it is, its OVSDB connection string, its VTEP."""

    name: str
    pid: int
    ovsdb: str
    vtep: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class VmState:
    """A VM: the pid whose namespace it is, and where it sits."""

    name: str
    tenant: str
    server: str
    address: IPv4Address
    mac: str
    pid: int
    address6: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class NatState:
    """What the vRouter of a tenant translates."""

    tenant: str
    rule: NatRule


@dataclass(frozen=True, slots=True)
class LabState:
    """A lab. ``keeper`` is the pid of the process that holds it (0 when it is held in-process)."""

    name: str
    servers: tuple[ServerState, ...]
    switches: tuple[ServerState, ...]
    vms: tuple[VmState, ...]
    faults: tuple[Fault, ...] = ()
    nat: tuple[NatState, ...] = ()
    keeper: int = 0

    @property
    def ovsdb_remotes(self) -> tuple[str, ...]:
        """The OVSDB connection strings an inventory of this overlay reads: those of the servers."""
        return tuple(server.ovsdb for server in self.servers)

    @property
    def underlay_remotes(self) -> tuple[str, ...]:
        """Those of the underlay switches, for an operator who runs them too."""
        return tuple(switch.ovsdb for switch in self.switches)
