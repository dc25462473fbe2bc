"""Turns the megaflows of ``ofproto/trace`` into the fields in them that a walk did not see anything look at."""

import re

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop
from vtrace_ovs.walker.examined import examined
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.visit import Visit

NOT_COMPARABLE = ("check_pkt_larger", "Translation failed")
"""The first translates a branch that the packet does not take, the second stops half way."""
_ALWAYS = frozenset({"recirc_id", "eth", "in_port", "ip", "ipv6", "arp", "rarp", "mpls", "mplsm", "dl_type", "nw_frag"})
_UNNAMED = frozenset({"tun_tos", "tun_flags", "vlan_tci1", "dl_vlan1", "dl_vlan_pcp1", "mpls_lse1"})
"""What no flow can name, or this walker does not track: it comes with tunnels and with inner tags and labels."""
_PROTOCOLS = frozenset({"tcp", "udp", "sctp", "icmp", "tcp6", "udp6", "sctp6", "icmp6"})
_TAG = frozenset({"vlan_tci", "vlan_vid", "vlan_pcp"})
_PORTS = {side: frozenset({f"tcp_{side}", f"udp_{side}", f"sctp_{side}"}) for side in ("src", "dst")}
_NAMES = {
    "dl_src": {"eth_src"},
    "dl_dst": {"eth_dst"},
    "dl_vlan": _TAG,
    "dl_vlan_pcp": _TAG,
    "vlan_tci": _TAG,
    "nw_src": {"ipv4_src"},
    "nw_dst": {"ipv4_dst"},
    "nw_proto": {"ip_proto"},
    "nw_tos": {"ip_dscp", "nw_tos"},
    "nw_ecn": {"ip_ecn", "nw_tos"},
    "tp_src": _PORTS["src"],
    "tp_dst": _PORTS["dst"],
    "icmp_type": {"icmp_type", "icmpv6_type"},
    "icmp_code": {"icmp_code", "icmpv6_code"},
}


def unseen(view: BridgeView, arrived_by: Tunnel | None, visit: Visit, tunnel_port: int, text: str) -> frozenset[str]:
    """Fields of the megaflows in ``text``, of all passes, that neither lookups nor flows of the walk look at."""
    left_by = Tunnel(0, None, None) if any(each.port == tunnel_port for each in visit.emissions) else None
    steps = tuple(lookup.step for lookup in visit.searches)
    hop = Hop(BridgeId("s", "br0"), 1, 1, arrived_by=arrived_by, left_by=left_by, steps=steps)
    ours = {masked.field.name for masked in examined(view, hop)}
    lines = re.findall(r"^Megaflow: (.*)$", text, re.MULTILINE)
    words = {word.strip().partition("=")[0] for line in lines for word in re.split(r",(?![^(]*\))", line)}
    return frozenset(word for word in words - _ALWAYS - _UNNAMED if not _meant_by(word) & ours)


def _meant_by(word: str) -> frozenset[str]:
    return frozenset({"ip_proto"} if word in _PROTOCOLS else _NAMES.get(word, {word}))
