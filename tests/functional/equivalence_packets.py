"""Turns a packet's few choices into what ``ofproto/trace`` takes, of either family, whole or a fragment."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SOLICITED = 4


@dataclass(frozen=True)
class Packet:
    """A packet as it comes to a port of the first VFD. ``six``: of IPv6. ``fragment``: "first", "later" or nothing."""

    in_port: int
    protocol: str
    source: str = "10.0.0.1"
    destination: str = "10.0.0.2"
    destination_port: int = 80
    tos: int = 0
    ttl: int = 64
    vlan: int | None = None
    eth_dst: int = 2
    vni: int | None = None
    six: bool = False
    fragment: str = ""

    @property
    def text(self) -> str:
        """As ``ofproto/trace`` takes it."""
        tag = "" if self.vlan is None else f",dl_vlan={self.vlan},dl_vlan_pcp=0"
        tunnel = "" if self.vni is None else f",tun_id={self.vni},tun_src=198.18.7.2,tun_dst=198.18.7.1"
        link = f"in_port={self.in_port}{tunnel}{tag},dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:{self.eth_dst:02x}"
        if self.protocol == "arp":
            return f"arp,{link},arp_op=1,arp_spa={self.source},arp_tpa={self.destination}"
        rest = f"nw_ttl={self.ttl},nw_tos={self.tos & 0xFC},nw_ecn={self.tos & 3}{self._frag},{self._upper}".rstrip(",")
        if not self.six:
            return f"{self.protocol},{link},nw_src={self.source},nw_dst={self.destination},{rest}"
        protocol = "ipv6,nw_proto=44" if self.fragment == "later" else f"{self.protocol}6"
        return f"{protocol},{link},ipv6_src={in_six(self.source)},ipv6_dst={in_six(self.destination)},{rest}"

    @property
    def asks(self) -> bool:
        """Whether this is a neighbour solicitation."""
        return self.six and self.protocol == "icmp" and not self.fragment and self.eth_dst == SOLICITED

    @property
    def _frag(self) -> str:
        return f",nw_frag={self.fragment}" if self.fragment else ""

    @property
    def _upper(self) -> str:
        if self.fragment == "later" or (self.protocol == "icmp" and not self.asks):
            return ""
        if self.asks:
            return f"icmpv6_type=135,icmpv6_code=0,nd_target={in_six(self.destination)}"
        return f"{self.protocol}_src=4000,{self.protocol}_dst={self.destination_port}"


def in_six(address: str) -> str:
    """The IPv6 address or network that stands for one of IPv4."""
    text, slash, length = address.partition("/")
    whole = IPv6Address((0xFD00 << 112) | int(IPv4Address(text)))
    return f"{whole}/{96 + int(length)}" if slash else str(whole)
