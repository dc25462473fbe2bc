"""Turns field names and protocol keywords, in any spelling OVS accepts, into what a filter can hold.

Source: ovs-fields(7), which lists each field's aliases and the protocol shorthands
(``tcp`` is ``eth_type=0x800,ip_proto=6``).
"""

from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.packet import IpFamily, IpProtocol


class Slot(Enum):
    """The parts of a ``Filter``; the value is the canonical OVS name."""

    ETH_TYPE = "eth_type"
    PROTOCOL = "nw_proto"
    SOURCE = "nw_src"
    DESTINATION = "nw_dst"
    SOURCE_PORT = "tp_src"
    DESTINATION_PORT = "tp_dst"
    ICMP_TYPE = "icmp_type"
    ICMP_CODE = "icmp_code"


@dataclass(frozen=True, slots=True)
class FieldName:
    """One accepted spelling: the slot it fills, the protocols it needs one of (empty: any), the family it implies."""

    slot: Slot
    protocols: tuple[IpProtocol, ...] = ()
    family: IpFamily | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """A protocol shorthand: its family, and its protocol (None: left open)."""

    family: IpFamily
    protocol: int | None = None


_PORT_PROTOCOLS = (IpProtocol.TCP, IpProtocol.UDP)
_ICMP_PROTOCOLS = (IpProtocol.ICMP, IpProtocol.ICMPV6)
_V4, _V6 = IpFamily.IPV4, IpFamily.IPV6

FIELDS: dict[str, FieldName] = {
    "eth_type": FieldName(Slot.ETH_TYPE),
    "dl_type": FieldName(Slot.ETH_TYPE),
    "nw_proto": FieldName(Slot.PROTOCOL),
    "ip_proto": FieldName(Slot.PROTOCOL),
    "nw_src": FieldName(Slot.SOURCE, family=_V4),
    "ip_src": FieldName(Slot.SOURCE, family=_V4),
    "ipv4_src": FieldName(Slot.SOURCE, family=_V4),
    "nw_dst": FieldName(Slot.DESTINATION, family=_V4),
    "ip_dst": FieldName(Slot.DESTINATION, family=_V4),
    "ipv4_dst": FieldName(Slot.DESTINATION, family=_V4),
    "ipv6_src": FieldName(Slot.SOURCE, family=_V6),
    "ipv6_dst": FieldName(Slot.DESTINATION, family=_V6),
    "tp_src": FieldName(Slot.SOURCE_PORT, _PORT_PROTOCOLS),
    "tp_dst": FieldName(Slot.DESTINATION_PORT, _PORT_PROTOCOLS),
    "tcp_src": FieldName(Slot.SOURCE_PORT, (IpProtocol.TCP,)),
    "tcp_dst": FieldName(Slot.DESTINATION_PORT, (IpProtocol.TCP,)),
    "udp_src": FieldName(Slot.SOURCE_PORT, (IpProtocol.UDP,)),
    "udp_dst": FieldName(Slot.DESTINATION_PORT, (IpProtocol.UDP,)),
    "icmp_type": FieldName(Slot.ICMP_TYPE, _ICMP_PROTOCOLS),
    "icmp_code": FieldName(Slot.ICMP_CODE, _ICMP_PROTOCOLS),
    "icmpv6_type": FieldName(Slot.ICMP_TYPE, (IpProtocol.ICMPV6,), _V6),
    "icmpv6_code": FieldName(Slot.ICMP_CODE, (IpProtocol.ICMPV6,), _V6),
}

_SCTP = 132

KEYWORDS: dict[str, Keyword] = {
    "ip": Keyword(_V4),
    "icmp": Keyword(_V4, IpProtocol.ICMP),
    "tcp": Keyword(_V4, IpProtocol.TCP),
    "udp": Keyword(_V4, IpProtocol.UDP),
    "sctp": Keyword(_V4, _SCTP),
    "ipv6": Keyword(_V6),
    "icmp6": Keyword(_V6, IpProtocol.ICMPV6),
    "tcp6": Keyword(_V6, IpProtocol.TCP),
    "udp6": Keyword(_V6, IpProtocol.UDP),
    "sctp6": Keyword(_V6, _SCTP),
}
"""Protocol shorthands; ``ip`` and ``ipv6`` leave the protocol open."""

_NOT_IP = "not IP: only IP packets can carry the mark"
_OF_A_FLOW = "it belongs to a flow, not to packets: leave it out"
_NOT_FIVE_TUPLE = "not part of a five-tuple: filter on addresses, protocol and ports"

_NON_IP_NAMES = """
    arp rarp mpls mplsm nsh arp_op arp_spa arp_tpa arp_sha arp_tha mpls_label mpls_tc mpls_bos mpls_ttl
"""
_FLOW_NAMES = "priority table cookie actions idle_timeout hard_timeout"
_OTHER_NAMES = """
    dl_src dl_dst eth_src eth_dst dl_vlan dl_vlan_pcp vlan_tci vlan_vid vlan_pcp nw_tos ip_dscp nw_ecn ip_ecn nw_ttl
    nw_frag ip_frag tcp_flags sctp_src sctp_dst ct_state ct_zone ct_mark ct_label ct_nw_src ct_nw_dst ct_nw_proto
    ct_tp_src ct_tp_dst ct_ipv6_src ct_ipv6_dst ipv6_label nd_target nd_sll nd_tll metadata pkt_mark skb_priority
    recirc_id dp_hash conj_id packet_type tun_src tun_dst tun_ipv6_src tun_ipv6_dst tun_flags
"""
_REGISTER_BANKS = (("reg", 16), ("xreg", 8), ("xxreg", 4))

REFUSED: dict[str, str] = {
    **dict.fromkeys(_NON_IP_NAMES.split(), _NOT_IP),  # frames without DSCP cannot be marked (trap T15)
    **dict.fromkeys(_FLOW_NAMES.split(), _OF_A_FLOW),
    **dict.fromkeys(_OTHER_NAMES.split(), _NOT_FIVE_TUPLE),
    **dict.fromkeys((f"{bank}{n}" for bank, count in _REGISTER_BANKS for n in range(count)), _NOT_FIVE_TUPLE),
    "in_port": "not part of a five-tuple: name the sending VM with --from",
    "tun_id": "not part of a five-tuple: give the VNI with --vni",
    "tunnel_id": "not part of a five-tuple: give the VNI with --vni",
}
"""Names OVS has and a filter does not: why, and what to do instead."""


def protocol_name(protocol: int, family: IpFamily = IpFamily.IPV4) -> str:
    """The keyword of an IP protocol number in a family, or ``nw_proto=N`` where there is none."""
    meaning = Keyword(family, protocol)
    return next((name for name, keyword in KEYWORDS.items() if keyword == meaning), f"nw_proto={protocol}")
