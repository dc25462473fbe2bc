"""OpenFlow match fields: OXM/NXM numbers, width, maskability, and how OVS writes them, by their OVS name.

The catalogue is in an order that satisfies every field's prerequisites, so matches are sent in this order. Source:
ovs-fields(7) (``lib/meta-flow.xml``, Open vSwitch 3.1 to 3.5) and OpenFlow 1.3.5 §7.2.3.
"""

from dataclasses import dataclass
from enum import Enum, auto
from itertools import count


class Notation(Enum):
    """How OVS writes a field's value ("Format" in ovs-fields(7))."""

    DECIMAL = auto()
    HEXADECIMAL = auto()
    ETHERNET = auto()
    IPV4 = auto()
    IPV6 = auto()
    PORT = auto()
    FRAGMENT = auto()
    CT_STATE = auto()
    TCP_FLAGS = auto()
    TUNNEL_FLAGS = auto()
    PACKET_TYPE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One match field. There is one object per field, so fields compare by identity.

    ``oxm_class``/``oxm_field`` are the header numbers OVS itself emits over OpenFlow 1.3 (``experimenter`` is set
    for class 0xffff); ``width`` is in bits; ``n_bytes`` the payload size on the wire; ``aliases`` are other headers
    that decode to the same field. ``names`` are other spellings OVS accepts or prints, ``nxm`` among them the name
    it prints in ``load`` and ``move``.
    """

    name: str
    oxm_class: int
    oxm_field: int
    width: int
    maskable: bool = True
    experimenter: int | None = None
    n_bytes: int = 0
    aliases: tuple[tuple[int, int], ...] = ()
    notation: Notation = Notation.DECIMAL
    nxm: str = ""
    names: tuple[str, ...] = ()

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


EXPERIMENTER_CLASS = 0xFFFF
ONF = 0x4F4E4600
NICIRA = 0x00002320
_NSH_VENDOR = 0x005AD650
_OPENFLOW_BASIC = 0x8000
_PACKET_REGISTERS = 0x8001
_NXM_0 = 0x0000
_NXM_1 = 0x0001
_ERICSSON = 0x1000

_D = Notation.DECIMAL
_H = Notation.HEXADECIMAL
_E = Notation.ETHERNET
_4 = Notation.IPV4
_6 = Notation.IPV6


def _oxm(  # noqa: PLR0913  a row of the table below, read by column
    name: str,
    number: int,
    width: int,
    notation: Notation,
    nxm: str,
    *aliases: tuple[int, int],
    maskable: bool = True,
    n_bytes: int | None = None,
    names: tuple[str, ...] = (),
) -> Field:
    size = (width + 7) // 8 if n_bytes is None else n_bytes
    return Field(name, _OPENFLOW_BASIC, number, width, maskable, None, size, aliases, notation, nxm, names)


def _nx(  # noqa: PLR0913  a row of the table below, read by column
    name: str,
    number: int,
    width: int,
    notation: Notation,
    nxm: str,
    *,
    maskable: bool = True,
    aliases: tuple[tuple[int, int], ...] = (),
    n_bytes: int | None = None,
    names: tuple[str, ...] = (),
) -> Field:
    size = (width + 7) // 8 if n_bytes is None else n_bytes
    return Field(name, _NXM_1, number, width, maskable, None, size, aliases, notation, nxm, names)


def _experimenter(  # noqa: PLR0913  a row of the table below, read by column
    name: str,
    code_point: tuple[int, int],
    width: int,
    notation: Notation,
    nxm: str,
    *aliases: tuple[int, int],
    maskable: bool = True,
    n_bytes: int | None = None,
    names: tuple[str, ...] = (),
) -> Field:
    size = (width + 7) // 8 if n_bytes is None else n_bytes
    vendor, number = code_point
    return Field(name, EXPERIMENTER_CLASS, number, width, maskable, vendor, size, aliases, notation, nxm, names)


_METADATA = (
    _nx("dp_hash", 35, 32, _H, "NXM_NX_DP_HASH"),
    _nx("recirc_id", 36, 32, _D, "NXM_NX_RECIRC_ID", maskable=False),
    _nx("conj_id", 37, 32, _D, "NXM_NX_CONJ_ID", maskable=False),
    _oxm("packet_type", 44, 32, Notation.PACKET_TYPE, "OXM_OF_PACKET_TYPE", maskable=False),
    _oxm("tun_id", 38, 64, _H, "NXM_NX_TUN_ID", (_NXM_1, 16), names=("tunnel_id",)),
    _nx("tun_src", 31, 32, _4, "NXM_NX_TUN_IPV4_SRC"),
    _nx("tun_dst", 32, 32, _4, "NXM_NX_TUN_IPV4_DST"),
    _nx("tun_ipv6_src", 109, 128, _6, "NXM_NX_TUN_IPV6_SRC"),
    _nx("tun_ipv6_dst", 110, 128, _6, "NXM_NX_TUN_IPV6_DST"),
    _nx("tun_flags", 104, 1, Notation.TUNNEL_FLAGS, "NXM_NX_TUN_FLAGS", n_bytes=2),
    _nx("tun_gbp_id", 38, 16, _D, "NXM_NX_TUN_GBP_ID"),
    _nx("tun_gbp_flags", 39, 8, _H, "NXM_NX_TUN_GBP_FLAGS"),
    _experimenter("tun_erspan_ver", (NICIRA, 12), 4, _D, "NXOXM_ET_ERSPAN_VER"),
    _experimenter("tun_erspan_idx", (NICIRA, 11), 20, _H, "NXOXM_ET_ERSPAN_IDX", n_bytes=4),
    _experimenter("tun_erspan_dir", (NICIRA, 13), 1, _D, "NXOXM_ET_ERSPAN_DIR"),
    _experimenter("tun_erspan_hwid", (NICIRA, 14), 6, _H, "NXOXM_ET_ERSPAN_HWID"),
    _experimenter("tun_gtpu_flags", (NICIRA, 15), 8, _H, "NXOXM_ET_GTPU_FLAGS"),
    _experimenter("tun_gtpu_msgtype", (NICIRA, 16), 8, _D, "NXOXM_ET_GTPU_MSGTYPE"),
    *(_nx(f"tun_metadata{n}", 40 + n, 992, _H, f"NXM_NX_TUN_METADATA{n}") for n in range(64)),
    _oxm("in_port", 0, 32, Notation.PORT, "NXM_OF_IN_PORT", (_NXM_0, 0), maskable=False, names=("in_port_oxm",)),
    _nx("pkt_mark", 33, 32, _H, "NXM_NX_PKT_MARK"),
    _experimenter(
        "actset_output", (ONF, 43), 32, Notation.PORT, "ONFOXM_ET_ACTSET_OUTPUT", (0x8000, 43), maskable=False
    ),
    _oxm("metadata", 2, 64, _H, "OXM_OF_METADATA"),
    *(_nx(f"reg{n}", n, 32, _H, f"NXM_NX_REG{n}") for n in range(16)),
    *(Field(f"xreg{n}", _PACKET_REGISTERS, n, 64, True, None, 8, (), _H, f"OXM_OF_PKT_REG{n}") for n in range(8)),
    *(_nx(f"xxreg{n}", 111 + n, 128, _H, f"NXM_NX_XXREG{n}") for n in range(4)),
)

_LINK = (
    _oxm("eth_src", 4, 48, _E, "NXM_OF_ETH_SRC", (_NXM_0, 2), names=("dl_src",)),
    _oxm("eth_dst", 3, 48, _E, "NXM_OF_ETH_DST", (_NXM_0, 1), names=("dl_dst",)),
    Field("vlan_tci", _NXM_0, 4, 16, True, None, 2, (), _H, "NXM_OF_VLAN_TCI"),
    _oxm("vlan_vid", 6, 13, _D, "OXM_OF_VLAN_VID"),
    _oxm("vlan_pcp", 7, 3, _D, "OXM_OF_VLAN_PCP", maskable=False),
    _oxm("eth_type", 5, 16, _H, "NXM_OF_ETH_TYPE", (_NXM_0, 3), maskable=False, names=("dl_type",)),
    _oxm("mpls_label", 34, 20, _D, "OXM_OF_MPLS_LABEL", maskable=False, n_bytes=4),
    _oxm("mpls_tc", 35, 3, _D, "OXM_OF_MPLS_TC", maskable=False),
    _oxm("mpls_bos", 36, 1, _D, "OXM_OF_MPLS_BOS", maskable=False),
    _nx("mpls_ttl", 30, 8, _D, "NXM_NX_MPLS_TTL", maskable=False),
)

_NETWORK = (
    _oxm("ipv4_src", 11, 32, _4, "NXM_OF_IP_SRC", (_NXM_0, 7), names=("ip_src", "nw_src")),
    _oxm("ipv4_dst", 12, 32, _4, "NXM_OF_IP_DST", (_NXM_0, 8), names=("ip_dst", "nw_dst")),
    _oxm("ipv6_src", 26, 128, _6, "NXM_NX_IPV6_SRC", (_NXM_1, 19)),
    _oxm("ipv6_dst", 27, 128, _6, "NXM_NX_IPV6_DST", (_NXM_1, 20)),
    _oxm("ipv6_label", 28, 20, _H, "NXM_NX_IPV6_LABEL", (_NXM_1, 27), n_bytes=4),
    _oxm("ip_proto", 10, 8, _D, "NXM_OF_IP_PROTO", (_NXM_0, 6), maskable=False, names=("nw_proto",)),
    _nx("nw_ttl", 29, 8, _D, "NXM_NX_IP_TTL", maskable=False),
    _nx("ip_frag", 26, 2, Notation.FRAGMENT, "NXM_NX_IP_FRAG", names=("nw_frag",)),
    Field("nw_tos", _NXM_0, 5, 8, False, None, 1, (), _D, "NXM_OF_IP_TOS"),
    _oxm("ip_dscp", 8, 6, _D, "OXM_OF_IP_DSCP", maskable=False),
    _oxm("ip_ecn", 9, 2, _D, "NXM_NX_IP_ECN", (_NXM_1, 28), maskable=False, names=("nw_ecn",)),
    _oxm("arp_op", 21, 16, _D, "NXM_OF_ARP_OP", (_NXM_0, 15), maskable=False),
    _oxm("arp_spa", 22, 32, _4, "NXM_OF_ARP_SPA", (_NXM_0, 16)),
    _oxm("arp_tpa", 23, 32, _4, "NXM_OF_ARP_TPA", (_NXM_0, 17)),
    _oxm("arp_sha", 24, 48, _E, "NXM_NX_ARP_SHA", (_NXM_1, 17)),
    _oxm("arp_tha", 25, 48, _E, "NXM_NX_ARP_THA", (_NXM_1, 18)),
    _experimenter("nsh_flags", (_NSH_VENDOR, 1), 8, _D, "NXOXM_NSH_FLAGS"),
    _experimenter("nsh_ttl", (_NSH_VENDOR, 10), 8, _D, "NXOXM_NSH_TTL", maskable=False),
    _experimenter("nsh_mdtype", (_NSH_VENDOR, 2), 8, _D, "NXOXM_NSH_MDTYPE", maskable=False),
    _experimenter("nsh_np", (_NSH_VENDOR, 3), 8, _D, "NXOXM_NSH_NP", maskable=False),
    _experimenter("nsh_spi", (_NSH_VENDOR, 4), 24, _H, "NXOXM_NSH_SPI", maskable=False, n_bytes=4, names=("nsp",)),
    _experimenter("nsh_si", (_NSH_VENDOR, 5), 8, _D, "NXOXM_NSH_SI", maskable=False, names=("nsi",)),
    *(
        _experimenter(f"nsh_c{n}", (_NSH_VENDOR, 5 + n), 32, _H, f"NXOXM_NSH_C{n}", names=(f"nshc{n}",))
        for n in range(1, 5)
    ),
)

_TRANSPORT = (
    _oxm("tcp_src", 13, 16, _D, "NXM_OF_TCP_SRC", (_NXM_0, 9)),
    _oxm("tcp_dst", 14, 16, _D, "NXM_OF_TCP_DST", (_NXM_0, 10)),
    _experimenter("tcp_flags", (ONF, 42), 12, Notation.TCP_FLAGS, "NXM_NX_TCP_FLAGS", (_NXM_1, 34), (0x8000, 42)),
    _oxm("udp_src", 15, 16, _D, "NXM_OF_UDP_SRC", (_NXM_0, 11)),
    _oxm("udp_dst", 16, 16, _D, "NXM_OF_UDP_DST", (_NXM_0, 12)),
    _oxm("sctp_src", 17, 16, _D, "OXM_OF_SCTP_SRC"),
    _oxm("sctp_dst", 18, 16, _D, "OXM_OF_SCTP_DST"),
    _oxm("icmp_type", 19, 8, _D, "NXM_OF_ICMP_TYPE", (_NXM_0, 13), maskable=False),
    _oxm("icmp_code", 20, 8, _D, "NXM_OF_ICMP_CODE", (_NXM_0, 14), maskable=False),
    _oxm("icmpv6_type", 29, 8, _D, "NXM_NX_ICMPV6_TYPE", (_NXM_1, 21), maskable=False),
    _oxm("icmpv6_code", 30, 8, _D, "NXM_NX_ICMPV6_CODE", (_NXM_1, 22), maskable=False),
    _oxm("nd_target", 31, 128, _6, "NXM_NX_ND_TARGET", (_NXM_1, 23)),
    _oxm("nd_sll", 32, 48, _E, "NXM_NX_ND_SLL", (_NXM_1, 24)),
    _oxm("nd_tll", 33, 48, _E, "NXM_NX_ND_TLL", (_NXM_1, 25)),
    Field("nd_reserved", _ERICSSON, 1, 32, False, None, 4, (), _D, "ERICOXM_OF_ICMPV6_ND_RESERVED"),
    Field("nd_options_type", _ERICSSON, 2, 8, False, None, 1, (), _D, "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE"),
)

_CONNECTION = (
    _nx("ct_state", 105, 8, Notation.CT_STATE, "NXM_NX_CT_STATE", n_bytes=4),
    _nx("ct_zone", 106, 16, _H, "NXM_NX_CT_ZONE", maskable=False),
    _nx("ct_mark", 107, 32, _H, "NXM_NX_CT_MARK"),
    _nx("ct_label", 108, 128, _H, "NXM_NX_CT_LABEL"),
    _nx("ct_nw_src", 120, 32, _4, "NXM_NX_CT_NW_SRC"),
    _nx("ct_nw_dst", 121, 32, _4, "NXM_NX_CT_NW_DST"),
    _nx("ct_ipv6_src", 122, 128, _6, "NXM_NX_CT_IPV6_SRC"),
    _nx("ct_ipv6_dst", 123, 128, _6, "NXM_NX_CT_IPV6_DST"),
    _nx("ct_nw_proto", 119, 8, _D, "NXM_NX_CT_NW_PROTO", maskable=False),
    _nx("ct_tp_src", 124, 16, _D, "NXM_NX_CT_TP_SRC"),
    _nx("ct_tp_dst", 125, 16, _D, "NXM_NX_CT_TP_DST"),
)

CATALOGUE = (*_METADATA, *_LINK, *_NETWORK, *_TRANSPORT, *_CONNECTION)

_BY_NAME = {name: entry for entry in CATALOGUE for name in (*entry.names, entry.name)}
_RANK = dict(zip(CATALOGUE, count(), strict=False))
_UNNAMED: dict[tuple[int, int, int | None, int], Field] = {}


def field(name: str) -> Field:
    """The field of this name (ovs-fields(7) spelling of the OpenFlow 1.3 field, e.g. ``ipv4_src``, ``reg3``).

    OVS's other spellings (``nw_src``, ``dl_type``) name the same field. Raises KeyError for a name OVS does not have.
    """
    return _BY_NAME[name]


def rank(entry: Field) -> int:
    """The place of a field in the order matches are sent in; fields outside the catalogue come last."""
    return _RANK.get(entry, len(CATALOGUE))


def sized(entry: Field, n_bytes: int) -> Field:
    """A variable-length field (``tun_metadataN``) at the length it has on one bridge; one object per length."""
    if entry.n_bytes == n_bytes:
        return entry
    key = (entry.oxm_class, entry.oxm_field, entry.experimenter, n_bytes)
    made = Field(entry.name, *key[:2], 8 * n_bytes, n_bytes=n_bytes, notation=entry.notation, nxm=entry.nxm)
    return _UNNAMED.setdefault(key, made)


def unnamed(oxm_class: int, oxm_field: int, n_bytes: int, experimenter: int | None = None) -> Field:
    """A field this catalogue does not know, named by its numbers; one object per header."""
    key = (oxm_class, oxm_field, experimenter, n_bytes)
    vendor = "" if experimenter is None else f"_{experimenter:#x}"
    name = f"oxm_{oxm_class:#x}{vendor}_{oxm_field}"
    made = Field(name, oxm_class, oxm_field, 8 * n_bytes, True, experimenter, n_bytes, (), Notation.HEXADECIMAL, name)
    return _UNNAMED.setdefault(key, made)


def components(entry: Field) -> tuple[tuple[int, SubField], ...]:
    """Where the bits of an overlapping field really are: pairs of (lowest bit in this field, part of another field).

    ``xregN`` and ``xxregN`` are made of ``regN``, ``vlan_vid`` and ``vlan_pcp`` of ``vlan_tci``, ``nw_tos`` of
    ``ip_dscp``. Empty for a field of its own.
    """
    return _COMPONENTS.get(entry, ())


def _registers(first: int, n: int) -> tuple[tuple[int, SubField], ...]:
    return tuple((32 * (n - 1 - i), SubField(field(f"reg{first + i}"), 0, 32)) for i in range(n))


_COMPONENTS = {
    **{field(f"xreg{n}"): _registers(2 * n, 2) for n in range(8)},
    **{field(f"xxreg{n}"): _registers(4 * n, 4) for n in range(4)},
    field("vlan_vid"): ((0, SubField(field("vlan_tci"), 0, 13)),),
    field("vlan_pcp"): ((0, SubField(field("vlan_tci"), 13, 3)),),
    field("nw_tos"): ((2, SubField(field("ip_dscp"), 0, 6)),),
}

OVERLAPPING = frozenset(_COMPONENTS)

IN_PORT = field("in_port")
ETH_TYPE = field("eth_type")
ARP_OP = field("arp_op")
ETH_SRC = field("eth_src")
ETH_DST = field("eth_dst")
VLAN_TCI = field("vlan_tci")
IP_DSCP = field("ip_dscp")
IP_ECN = field("ip_ecn")
IP_PROTO = field("ip_proto")
IPV4_SRC = field("ipv4_src")
IPV4_DST = field("ipv4_dst")
IPV6_SRC = field("ipv6_src")
IPV6_DST = field("ipv6_dst")
IPV6_LABEL = field("ipv6_label")
TCP_SRC = field("tcp_src")
TCP_DST = field("tcp_dst")
UDP_SRC = field("udp_src")
UDP_DST = field("udp_dst")
ICMP_TYPE = field("icmp_type")
ICMP_CODE = field("icmp_code")
ICMPV6_TYPE = field("icmpv6_type")
ICMPV6_CODE = field("icmpv6_code")
NW_TTL = field("nw_ttl")
TUN_ID = field("tun_id")
TUN_SRC = field("tun_src")
TUN_DST = field("tun_dst")
TUN_IPV6_SRC = field("tun_ipv6_src")
TUN_IPV6_DST = field("tun_ipv6_dst")
METADATA = field("metadata")
PKT_MARK = field("pkt_mark")
IP_FRAG = field("ip_frag")
TCP_FLAGS = field("tcp_flags")
CT_STATE = field("ct_state")
CT_ZONE = field("ct_zone")
CT_MARK = field("ct_mark")
CT_NW_SRC = field("ct_nw_src")
CT_NW_DST = field("ct_nw_dst")
CT_IPV6_SRC = field("ct_ipv6_src")
CT_IPV6_DST = field("ct_ipv6_dst")
CT_NW_PROTO = field("ct_nw_proto")
CT_TP_SRC = field("ct_tp_src")
CT_TP_DST = field("ct_tp_dst")
CONJ_ID = field("conj_id")
REGISTERS = tuple(field(f"reg{n}") for n in range(16))
