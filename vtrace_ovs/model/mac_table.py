"""What output to NORMAL depends on: where a bridge has learned MAC addresses, and which ports are access ports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MacEntry:
    """One line of ``ovs-appctl fdb/show``: an address (48 bits), the VLAN it was seen in, and the port behind it."""

    mac: int
    vlan: int
    port: int


@dataclass(frozen=True, slots=True)
class AccessPort:
    """A port with ``tag`` set: it takes and gives untagged packets of one VLAN."""

    port: int
    vlan: int


@dataclass(frozen=True, slots=True)
class MacTable:
    """What one bridge has learned. Every port that is not among ``access_ports`` is a trunk of all VLANs.

    Ports are numbered as in OpenFlow 1.3.
    """

    entries: tuple[MacEntry, ...] = ()
    access_ports: tuple[AccessPort, ...] = ()

    def port(self, mac: int, vlan: int) -> int | None:
        """The port an address was learned on, or None."""
        return next((entry.port for entry in self.entries if (entry.mac, entry.vlan) == (mac, vlan)), None)

    def access_vlan(self, port: int) -> int | None:
        """The VLAN of an access port, None for a trunk."""
        return next((each.vlan for each in self.access_ports if each.port == port), None)
