"""What output to NORMAL depends on: where a bridge has learned MAC addresses, and how its ports take part in VLANs."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class MacEntry:
    """One line of ``ovs-appctl fdb/show``: an address (48 bits), the VLAN it was seen in, and the port behind it."""

    mac: int
    vlan: int
    port: int


class VlanMode(Enum):
    """Column ``vlan_mode`` of a Port (ovs-vswitchd.conf.db(5)); ``dot1q-tunnel`` is not among what is predicted."""

    ACCESS = "access"
    TRUNK = "trunk"
    NATIVE_TAGGED = "native-tagged"
    NATIVE_UNTAGGED = "native-untagged"


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """How a port takes part in VLANs: ``vlan`` is its own (not for TRUNK), ``trunks`` are the others, empty for all."""

    port: int
    mode: VlanMode = VlanMode.TRUNK
    vlan: int = 0
    trunks: frozenset[int] = frozenset()

    def carries(self, vlan: int) -> bool:
        """Whether packets of a VLAN are sent and, with its tag, taken here. A native VLAN keeps VLAN 0 out (tried)."""
        if self.mode is VlanMode.ACCESS:
            return vlan == self.vlan
        if self.mode is not VlanMode.TRUNK and self.vlan and vlan in {0, self.vlan}:
            return vlan == self.vlan
        return not self.trunks or vlan in self.trunks


@dataclass(frozen=True, slots=True)
class MacTable:
    """What one bridge has learned, and how it floods. A port that is not among ``ports`` is a trunk of all VLANs.

    Ports are numbered as in OpenFlow 1.3. ``no_flood`` are those with that flag set (``ovs-ofctl mod-port``), None when
    nobody could tell. ``unmodelled`` is a clause about what else this bridge's NORMAL depends on, None for nothing.
    """

    entries: tuple[MacEntry, ...] = ()
    ports: tuple[SwitchPort, ...] = ()
    no_flood: frozenset[int] | None = None
    unmodelled: str | None = None

    def port(self, mac: int, vlan: int) -> int | None:
        """The port an address was learned on, or None."""
        return next((entry.port for entry in self.entries if (entry.mac, entry.vlan) == (mac, vlan)), None)

    def setting(self, port: int) -> SwitchPort:
        """How a port takes part in VLANs."""
        return next((each for each in self.ports if each.port == port), SwitchPort(port))

    def floods_to(self, port: int) -> bool:
        """Whether floods go to a port, as far as anybody could tell."""
        return self.no_flood is None or port not in self.no_flood
