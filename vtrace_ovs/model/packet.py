"""What is known of one packet: its headers, its five-tuple, and the tunnel it arrived in or leaves by."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address

from vtrace_ovs.model.construction import quickly_built

IPAddress = IPv4Address | IPv6Address


class IpProtocol(IntEnum):
    """IP protocol numbers this tool names (IANA assigned internet protocol numbers)."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58


_NAMES = {protocol.value: protocol.name.lower() for protocol in IpProtocol}


class IpFamily(IntEnum):
    """The two versions of IP; the value is the EtherType."""

    IPV4 = 0x0800
    IPV6 = 0x86DD


ADDRESS_FIELDS = {IpFamily.IPV4: ("nw_src", "nw_dst"), IpFamily.IPV6: ("ipv6_src", "ipv6_dst")}
"""What OVS calls the source and the destination address."""


def family_of(address: IPAddress) -> IpFamily:
    """The version of IP an address belongs to."""
    return IpFamily.IPV4 if isinstance(address, IPv4Address) else IpFamily.IPV6


class Fragment(Enum):
    """OVS ``ip_frag``: whether the packet is a fragment, and which kind (ovs-fields(7))."""

    NO = "no"
    FIRST = "first"
    LATER = "later"


@quickly_built
@dataclass(frozen=True, slots=True)
class FiveTuple:
    """Source and destination addresses and ports, and protocol. Ports are None where the protocol has none.

    For ICMP the ports are None: type, code, id and sequence are in ``Headers``.
    """

    protocol: int
    source: IPAddress
    destination: IPAddress
    source_port: int | None = None
    destination_port: int | None = None

    @property
    def family(self) -> IpFamily:
        """That of its addresses."""
        return family_of(self.source)

    def reversed(self) -> "FiveTuple":
        """The five-tuple of the reply direction."""
        return FiveTuple(self.protocol, self.destination, self.source, self.destination_port, self.source_port)

    def __str__(self) -> str:
        """``tcp 10.0.0.1:1000 → 10.0.1.5:443``; ports only where known."""
        name = _NAMES.get(self.protocol, f"ip protocol {self.protocol}")
        return f"{name} {_end(self.source, self.source_port)} → {_end(self.destination, self.destination_port)}"


def _end(address: IPAddress, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class NeighbourQuestion:
    """Who has ``target``? An ARP request or neighbour solicitation of ``asker``."""

    target: IPAddress
    asker: IPAddress


@quickly_built
@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of one captured frame, as far as they could be read. Unreadable parts are None.

    ``length`` is the frame's length on the wire in bytes; ``payload`` is the captured part behind the last
    header that was understood. ``dscp`` is 0-63, ``ecn`` 0-3, ``fragment_offset`` in units of 8 bytes. In IPv6,
    ``ip_id`` is the identification of the fragment header and ``ttl`` the hop limit. ``vlan_tci`` is that of the outer
    tag, with the "present" bit 0x1000 set as in OVS's field, and ``inner_vlan_tci`` that of the tag behind it.
    """

    eth_src: str
    eth_dst: str
    eth_type: int
    length: int
    vlan_tci: int | None = None
    five_tuple: FiveTuple | None = None
    dscp: int | None = None
    ecn: int | None = None
    ttl: int | None = None
    ip_id: int | None = None
    dont_fragment: bool = False
    fragment: Fragment = Fragment.NO
    tcp_seq: int | None = None
    tcp_ack: int | None = None
    tcp_flags: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    udp_length: int | None = None
    payload: bytes = b""
    flow_label: int | None = None
    question: NeighbourQuestion | None = None
    fragment_offset: int = 0
    inner_vlan_tci: int | None = None


@quickly_built
@dataclass(frozen=True, slots=True)
class Tunnel:
    """The tunnel of a packet: VNI (``tun_id``) and the outer addresses (paper, Table 2: out_sip, out_dip).

    ``option`` is what ``tun_metadata0`` carries (under OVN the logical ports), as far as a walk knows it; no log tells
    it, so tunnels that differ in nothing else are equal.
    """

    vni: int
    source: IPAddress | None
    destination: IPAddress | None
    option: int | None = field(default=None, compare=False)
