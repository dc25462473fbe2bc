"""OpenFlow match fields: OXM/NXM numbers, width, maskability and prerequisites, by their OVS name.

Source: ovs-fields(7) (``lib/meta-flow.xml``) and OpenFlow 1.3.5 §7.2.3.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One match field. There is one object per field, so fields compare by identity.

    ``oxm_class``/``oxm_field`` are the header numbers OVS itself emits over OpenFlow 1.3 (``experimenter`` is set
    for class 0xffff); ``width`` is in bits; ``n_bytes`` the payload size on the wire. ``parse_only`` alternatives
    are other headers that decode to the same field.
    """

    name: str
    oxm_class: int
    oxm_field: int
    width: int
    maskable: bool = True
    experimenter: int | None = None
    n_bytes: int = 0
    aliases: tuple[tuple[int, int], ...] = ()

    @property
    def full_mask(self) -> int:
        """All bits of the field set."""
        return (1 << self.width) - 1

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class SubField:
    """Bits ``offset .. offset + width - 1`` of a field, written ``FIELD[first..last]`` by OVS."""

    field: Field
    offset: int
    width: int

    @property
    def mask(self) -> int:
        """The bits covered, in place."""
        return ((1 << self.width) - 1) << self.offset


_OPENFLOW_BASIC = 0x8000
_NXM_0 = 0x0000
_NXM_1 = 0x0001

_CATALOGUE = (
    Field("in_port", _OPENFLOW_BASIC, 0, 32, maskable=False, n_bytes=4, aliases=((_NXM_0, 0),)),
    Field("metadata", _OPENFLOW_BASIC, 2, 64, n_bytes=8),
    Field("eth_dst", _OPENFLOW_BASIC, 3, 48, n_bytes=6, aliases=((_NXM_0, 1),)),
    Field("eth_src", _OPENFLOW_BASIC, 4, 48, n_bytes=6, aliases=((_NXM_0, 2),)),
    Field("eth_type", _OPENFLOW_BASIC, 5, 16, maskable=False, n_bytes=2, aliases=((_NXM_0, 3),)),
    Field("vlan_tci", _NXM_0, 4, 16, n_bytes=2),
    Field("ip_dscp", _OPENFLOW_BASIC, 8, 6, maskable=False, n_bytes=1),
    Field("ip_ecn", _OPENFLOW_BASIC, 9, 2, maskable=False, n_bytes=1, aliases=((_NXM_1, 28),)),
    Field("ip_proto", _OPENFLOW_BASIC, 10, 8, maskable=False, n_bytes=1, aliases=((_NXM_0, 6),)),
    Field("ipv4_src", _OPENFLOW_BASIC, 11, 32, n_bytes=4, aliases=((_NXM_0, 7),)),
    Field("ipv4_dst", _OPENFLOW_BASIC, 12, 32, n_bytes=4, aliases=((_NXM_0, 8),)),
    Field("tcp_src", _OPENFLOW_BASIC, 13, 16, n_bytes=2, aliases=((_NXM_0, 9),)),
    Field("tcp_dst", _OPENFLOW_BASIC, 14, 16, n_bytes=2, aliases=((_NXM_0, 10),)),
    Field("udp_src", _OPENFLOW_BASIC, 15, 16, n_bytes=2, aliases=((_NXM_0, 11),)),
    Field("udp_dst", _OPENFLOW_BASIC, 16, 16, n_bytes=2, aliases=((_NXM_0, 12),)),
    Field("icmp_type", _OPENFLOW_BASIC, 19, 8, maskable=False, n_bytes=1, aliases=((_NXM_0, 13),)),
    Field("icmp_code", _OPENFLOW_BASIC, 20, 8, maskable=False, n_bytes=1, aliases=((_NXM_0, 14),)),
    Field("tun_id", _OPENFLOW_BASIC, 38, 64, n_bytes=8, aliases=((_NXM_1, 16),)),
    Field("tun_src", _NXM_1, 31, 32, n_bytes=4),
    Field("tun_dst", _NXM_1, 32, 32, n_bytes=4),
    Field("pkt_mark", _NXM_1, 33, 32, n_bytes=4),
    Field("nw_ttl", _NXM_1, 29, 8, maskable=False, n_bytes=1),
    *(Field(f"reg{n}", _NXM_1, n, 32, n_bytes=4) for n in range(16)),
)

_BY_NAME = {field.name: field for field in _CATALOGUE}


def field(name: str) -> Field:
    """The field of this name (ovs-fields(7) spelling of the OpenFlow 1.3 field, e.g. ``ipv4_src``, ``reg3``).

    Raises KeyError for a name OVS does not have.
    """
    return _BY_NAME[name]


IN_PORT = field("in_port")
ETH_TYPE = field("eth_type")
ETH_SRC = field("eth_src")
ETH_DST = field("eth_dst")
VLAN_TCI = field("vlan_tci")
IP_DSCP = field("ip_dscp")
IP_ECN = field("ip_ecn")
IP_PROTO = field("ip_proto")
IPV4_SRC = field("ipv4_src")
IPV4_DST = field("ipv4_dst")
TCP_SRC = field("tcp_src")
TCP_DST = field("tcp_dst")
UDP_SRC = field("udp_src")
UDP_DST = field("udp_dst")
ICMP_TYPE = field("icmp_type")
ICMP_CODE = field("icmp_code")
NW_TTL = field("nw_ttl")
TUN_ID = field("tun_id")
TUN_SRC = field("tun_src")
TUN_DST = field("tun_dst")
METADATA = field("metadata")
PKT_MARK = field("pkt_mark")
REGISTERS = tuple(field(f"reg{n}") for n in range(16))
