"""Turns what a flow does into the fields its actions read or write: what a megaflow cannot wildcard because of them.

Source: the ``wc`` arguments in ``do_xlate_actions()`` of ``ofproto/ofproto-dpif-xlate.c``, ``mf_are_prereqs_ok()`` and
``flow_mask_hash_fields()`` (Open vSwitch 3.1). What it only writes counts too: Open vSwitch compares it then, to send
the datapath no needless action. What ``learn`` reads is not known: its body is kept as bytes.
"""

from collections.abc import Iterable, Iterator

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.match import MaskedField
from vtrace_ovs.model.oxm import ARP_OP, VLAN_TCI, Field, SubField, field
from vtrace_ovs.walker.network import BridgeView

_MPLS = tuple(map(field, ("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl")))
_NETWORK = tuple(map(field, ("ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ip_proto")))
_PORTS = tuple(map(field, ("tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_src", "sctp_dst")))
_ICMP = tuple(map(field, ("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code")))
_SWITCHED = (field("eth_src"), field("eth_dst"), VLAN_TCI)
_ANNOUNCED = (ARP_OP, field("arp_spa"), field("arp_tpa"))
"""What tells an announcement of one's own address, which NORMAL learns from in a way of its own."""
_HASHED = (*_SWITCHED, *_NETWORK, *_PORTS, *_ICMP)
_BEGUN_WITH = tuple(
    map(field, ("ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_nw_proto", "ct_tp_src", "ct_tp_dst"))
)
_IN_IP_HEADER = frozenset(
    {"ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ipv6_label", "nw_tos", "ip_dscp", "ip_ecn", "nw_ttl"}
)
_MOST_NESTED = 32


def read_by(view: BridgeView, instructions: Iterable[act.Instruction]) -> Iterator[MaskedField]:
    """Every field that these instructions may read or write, with the bits; their values are zero."""
    for instruction in instructions:
        match instruction:
            case act.ApplyActions() | act.WriteActions():
                yield from _read_by_all(view, instruction.actions, 0)
            case _:
                pass


def _read_by_all(view: BridgeView, actions: Iterable[act.Action], depth: int) -> Iterator[MaskedField]:
    if depth < _MOST_NESTED:
        for action in actions:
            yield from _fields(action)
            yield from _read_by_all(view, _inside(view, action), depth + 1)


def _inside(view: BridgeView, action: act.Action) -> Iterator[act.Action]:
    match action:
        case act.Clone() | act.Conntrack():
            yield from action.nested
        case act.Group():
            group = view.group(action.group_id)
            for bucket in () if group is None else group.buckets:
                yield from bucket.actions
        case _:
            pass


def _fields(action: act.Action) -> Iterator[MaskedField]:  # noqa: C901, PLR0912 - one arm per kind
    match action:
        case act.SetField():
            yield MaskedField(action.field, 0, action.mask)
            yield from _required(action.field)
        case act.Move():
            yield from _part(action.source)
            yield from _part(action.destination)
        case act.Push() | act.OutputSubField():
            yield from _part(action.source)
        case act.Pop() | act.CheckPacketLarger():
            yield from _part(action.destination)
        case act.Conntrack(zone=SubField() as zone):
            yield from _part(zone)
        case act.DecTtl():
            yield from _whole(field("nw_ttl"), field("ip_proto"))
        case act.PushVlan() | act.PopVlan():
            yield from _whole(VLAN_TCI)
        case act.PushMpls():
            yield from _whole(*_MPLS, field("nw_ttl"), field("ip_dscp"))
        case act.PopMpls() | act.DecMplsTtl():
            yield from _whole(*_MPLS)
        case act.SetTunnelId():
            yield from _whole(field("tun_id"))
        case act.Output(port=act.OFPP_NORMAL):
            yield from _whole(*_SWITCHED, *_ANNOUNCED)
        case act.Multipath() | act.Bundle():
            yield from _whole(*_HASHED)
            if action.destination is not None:
                yield from _part(action.destination)
        case act.Resubmit(with_conntrack=True):
            yield from _whole(*_BEGUN_WITH)
        case _:
            pass


def _whole(*fields: Field) -> Iterator[MaskedField]:
    for each in fields:
        yield MaskedField(each, 0, each.full_mask)


def _part(part: SubField) -> Iterator[MaskedField]:
    yield MaskedField(part.field, 0, part.mask)
    yield from _required(part.field)


def _required(entry: Field) -> Iterator[MaskedField]:
    """What has to be looked at to know that a packet has this field."""
    if entry.name in {"vlan_vid", "vlan_pcp"}:
        yield from _whole(VLAN_TCI)
    elif entry.name.startswith(("tcp_", "udp_", "sctp_", "icmp", "nd_")):
        yield from _whole(field("ip_proto"))
        if entry.name.startswith("nd_"):
            yield from _whole(field("icmpv6_type"), field("icmpv6_code"))
    elif entry.name in _IN_IP_HEADER:  # the datapath sets a header whole, and is told its protocol
        yield from _whole(field("ip_proto"))
    elif entry.name.startswith("arp_"):
        yield from _whole(ARP_OP)
