"""Turns matches, flow keys and actions into the text OVS itself would print (ovs-ofctl(8), dump-flows syntax)."""

from collections.abc import Callable

from vtrace_ovs.model.action_wording import action_text, actions_text, instructions_text
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.notation import hexadecimal, value_text
from vtrace_ovs.model.oxm import Field, field

__all__ = ["action_text", "actions_text", "flow_text", "instructions_text", "match_text"]

_IPV4 = 0x0800
_IPV6 = 0x86DD
_SHORTHANDS = {
    _IPV4: "ip",
    _IPV6: "ipv6",
    0x0806: "arp",
    0x8035: "rarp",
    0x8847: "mpls",
    0x8848: "mplsm",
}
_WITH_PROTOCOL = {
    (_IPV4, 1): "icmp",
    (_IPV4, 6): "tcp",
    (_IPV4, 17): "udp",
    (_IPV4, 132): "sctp",
    (_IPV6, 58): "icmp6",
    (_IPV6, 6): "tcp6",
    (_IPV6, 17): "udp6",
    (_IPV6, 132): "sctp6",
}
_VLAN_CFI = 0x1000
_VLAN_VID = 0x0FFF
_VLAN_PCP = 0xE000
_FRAGMENTS = {
    (3, 0): "no",
    (3, 1): "first",
    (3, 3): "later",
    (1, 0): "no",
    (1, 1): "yes",
    (2, 0): "not_later",
    (2, 2): "later",
}


def match_text(match: Match) -> str:
    """A match in dump-flows syntax, e.g. ``tcp,in_port=3,nw_dst=10.0.1.0/24,tp_dst=443``."""
    values = {masked.field: masked for masked in match.taken_apart().fields}
    words = [_WRITERS[entry](values.pop(entry)) for entry in _BEFORE_SHORTHAND if entry in values]
    words += _shorthand(values)
    words += [_WRITERS[entry](values.pop(entry)) for entry in _BEHIND_SHORTHAND if entry in values]
    words += [_plain(masked) for masked in values.values()]
    return ",".join(words)


def flow_text(key: FlowKey, cookie: int | None = None) -> str:
    """A flow's identity, e.g. ``table=20, cookie=0x53…, priority=100,tcp,…``."""
    parts = [f"table={key.table_id}"]
    if cookie is not None:
        parts.append(f"cookie={cookie:#x}")
    body = match_text(key.match)
    parts.append(f"priority={key.priority}" + (f",{body}" if body else ""))
    return ", ".join(parts)


def _shorthand(values: dict[Field, MaskedField]) -> list[str]:
    """The protocol word, taking the fields it stands for out of ``values``."""
    eth_type, protocol = values.get(_ETH_TYPE), values.get(_IP_PROTO)
    if eth_type is None or eth_type.value not in _SHORTHANDS:
        return []
    del values[_ETH_TYPE]
    word = _WITH_PROTOCOL.get((eth_type.value, protocol.value)) if protocol else None
    if word is None:
        return [_SHORTHANDS[eth_type.value]]
    del values[_IP_PROTO]
    return [word]


def _plain(masked: MaskedField) -> str:
    return f"{masked.field.name}={value_text(masked.field, masked.value, masked.mask)}"


def _named(name: str) -> Callable[[MaskedField], str]:
    return lambda masked: f"{name}={value_text(masked.field, masked.value, masked.mask)}"


def _vlan(masked: MaskedField) -> str:
    vid, pcp = masked.mask & _VLAN_VID, masked.mask & _VLAN_PCP
    whole = vid in {0, _VLAN_VID} and pcp in {0, _VLAN_PCP} and (vid or pcp)
    if whole and masked.value & _VLAN_CFI:
        words = [f"dl_vlan={masked.value & _VLAN_VID}"] if vid else []
        return ",".join([*words, f"dl_vlan_pcp={masked.value >> 13}"] if pcp else words)
    return f"vlan_tci={masked.value:#06x}" + ("" if masked.exact else f"/{masked.mask:#06x}")


def _eth_type(masked: MaskedField) -> str:
    return f"dl_type={masked.value:#06x}"


def _dscp(masked: MaskedField) -> str:
    return f"nw_tos={masked.value << 2}"


def _fragment(masked: MaskedField) -> str:
    return f"nw_frag={_FRAGMENTS.get((masked.mask, masked.value), hexadecimal(masked.value))}"


def _unmasked(name: str, sign: str) -> Callable[[MaskedField], str]:
    """OVS keeps only the set bits of these fields' masks and prints none."""
    return lambda masked: f"{name}={masked.value:{sign}}"


def _flow_label(masked: MaskedField) -> str:
    return f"ipv6_label={masked.value:#07x}" + ("" if masked.exact else f"/{masked.mask:#07x}")


_ETH_TYPE = field("eth_type")
_IP_PROTO = field("ip_proto")
_BEFORE_NAMES = (
    "pkt_mark recirc_id dp_hash conj_id actset_output ct_state ct_zone ct_mark ct_label ct_nw_src ct_ipv6_src "
    "ct_nw_dst ct_ipv6_dst ct_nw_proto ct_tp_src ct_tp_dst packet_type"
)
_BEHIND_NAMES = (
    "tun_id tun_src tun_dst tun_ipv6_src tun_ipv6_dst tun_gbp_id tun_gbp_flags tun_erspan_ver tun_erspan_idx "
    "tun_erspan_dir tun_erspan_hwid tun_gtpu_flags tun_gtpu_msgtype tun_flags metadata in_port vlan_tci eth_src "
    "eth_dst eth_type ipv6_src ipv6_dst ipv6_label arp_spa arp_tpa nsh_flags nsh_ttl nsh_mdtype nsh_np nsh_spi "
    "nsh_si nsh_c1 nsh_c2 nsh_c3 nsh_c4 ipv4_src ipv4_dst arp_op ip_proto arp_sha arp_tha ip_dscp ip_ecn nw_ttl "
    "mpls_label mpls_tc mpls_ttl mpls_bos ip_frag icmp_type icmp_code icmpv6_type icmpv6_code nd_target nd_sll "
    "nd_tll nd_reserved nd_options_type tcp_src tcp_dst udp_src udp_dst sctp_src sctp_dst tcp_flags"
)
_BEFORE_SHORTHAND = tuple(map(field, _BEFORE_NAMES.split()))
_BEHIND_SHORTHAND = (*(field(f"reg{n}") for n in range(16)), *map(field, _BEHIND_NAMES.split()))
_SPECIAL: dict[Field, Callable[[MaskedField], str]] = {
    field("vlan_tci"): _vlan,
    field("eth_type"): _eth_type,
    field("ip_dscp"): _dscp,
    field("ip_frag"): _fragment,
    field("ipv6_label"): _flow_label,
    field("ct_zone"): _unmasked("ct_zone", "d"),
    field("tun_erspan_ver"): _unmasked("tun_erspan_ver", "d"),
    field("tun_erspan_dir"): _unmasked("tun_erspan_dir", "d"),
    field("tun_erspan_hwid"): _unmasked("tun_erspan_hwid", "#x"),
    field("tun_gtpu_flags"): _unmasked("gtpu_flags", "#x"),
    field("tun_gtpu_msgtype"): _unmasked("gtpu_msgtype", "d"),
    field("eth_src"): _named("dl_src"),
    field("eth_dst"): _named("dl_dst"),
    field("ipv4_src"): _named("nw_src"),
    field("ipv4_dst"): _named("nw_dst"),
    field("ip_proto"): _named("nw_proto"),
    field("ip_ecn"): _named("nw_ecn"),
    field("icmpv6_type"): _named("icmp_type"),
    field("icmpv6_code"): _named("icmp_code"),
    **{field(f"{layer}_src"): _named("tp_src") for layer in ("tcp", "udp", "sctp")},
    **{field(f"{layer}_dst"): _named("tp_dst") for layer in ("tcp", "udp", "sctp")},
}
_WRITERS = {entry: _SPECIAL.get(entry, _plain) for entry in (*_BEFORE_SHORTHAND, *_BEHIND_SHORTHAND)}
