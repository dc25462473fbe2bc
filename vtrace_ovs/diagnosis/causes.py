"""Turns the flow that dropped a packet, and what its table is for, into a cause code and category (paper, Table 4)."""

from collections.abc import Iterable
from typing import assert_never

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.oxm import CT_STATE
from vtrace_ovs.model.profile import Stage, TableRole
from vtrace_ovs.model.trajectory import DropShape, NearMiss
from vtrace_ovs.model.verdict import CauseCategory, CauseCode

OF_NO_CONNECTION = frozenset(
    {CauseCode.CONNECTION_NOT_ESTABLISHED, CauseCode.CONNECTION_INVALID, CauseCode.NAT_EXHAUSTED}
)
"""What may be so because a connection tracking zone is full."""

CATEGORIES = {
    CauseCode.NONE: CauseCategory.NONE,
    CauseCode.SECURITY_RULE_DENY: CauseCategory.SECURITY_POLICY,
    CauseCode.SECURITY_DEFAULT_DENY: CauseCategory.SECURITY_POLICY,
    CauseCode.CONNECTION_NOT_ESTABLISHED: CauseCategory.SECURITY_POLICY,
    CauseCode.CONNECTION_INVALID: CauseCategory.SECURITY_POLICY,
    CauseCode.ANTI_SPOOFING_DENY: CauseCategory.SECURITY_POLICY,
    CauseCode.NO_ROUTE: CauseCategory.CONFIG_ERROR,
    CauseCode.BLACKHOLE_ROUTE: CauseCategory.CONFIG_ERROR,
    CauseCode.UNKNOWN_DESTINATION: CauseCategory.CONFIG_ERROR,
    CauseCode.UNKNOWN_VNI: CauseCategory.CONFIG_ERROR,
    CauseCode.VLAN_MISMATCH: CauseCategory.CONFIG_ERROR,
    CauseCode.WRONG_ENDPOINT: CauseCategory.CONFIG_ERROR,
    CauseCode.METER_RATE_LIMIT: CauseCategory.RATE_LIMIT,
    CauseCode.EGRESS_QUEUE_LIMIT: CauseCategory.RATE_LIMIT,
    CauseCode.NAT_EXHAUSTED: CauseCategory.RATE_LIMIT,
    CauseCode.TTL_EXPIRED: CauseCategory.CONFIG_ERROR,
    CauseCode.OUTPUT_TO_INGRESS: CauseCategory.CONFIG_ERROR,
    CauseCode.PORT_DOWN: CauseCategory.TENANT_VM,
    CauseCode.PORT_GONE: CauseCategory.VFD_FAULT,
    CauseCode.NO_LIVE_BUCKET: CauseCategory.VFD_FAULT,
    CauseCode.TRANSLATION_LIMIT: CauseCategory.VFD_FAULT,
    CauseCode.FORWARDING_LOOP: CauseCategory.CONFIG_ERROR,
    CauseCode.OVERLAPPING_FLOWS: CauseCategory.CONFIG_ERROR,
    CauseCode.EXPLICIT_DROP: CauseCategory.UNKNOWN,
    CauseCode.TABLE_MISS: CauseCategory.UNKNOWN,
    CauseCode.NO_OUTPUT_ACTION: CauseCategory.UNKNOWN,
    CauseCode.VSWITCHD_DEAD: CauseCategory.VFD_FAULT,
    CauseCode.UNDERLAY_LOSS: CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_DENY: CauseCategory.PHYSICAL_NETWORK,
    CauseCode.UNDERLAY_NO_ROUTE: CauseCategory.PHYSICAL_NETWORK,
    CauseCode.STALE_MEGAFLOW: CauseCategory.VFD_FAULT,
    CauseCode.PATCH_LOSS: CauseCategory.VFD_FAULT,
    CauseCode.PATCH_UNWIRED: CauseCategory.VFD_FAULT,
    CauseCode.NO_TUNNEL_ENDPOINT: CauseCategory.VFD_FAULT,
    CauseCode.TUNNEL_MTU: CauseCategory.CONFIG_ERROR,
    CauseCode.OUTSIDE_INVENTORY: CauseCategory.UNKNOWN,
    CauseCode.HOP_LIMIT_REACHED: CauseCategory.UNKNOWN,
    CauseCode.NEIGHBOUR_UNRESOLVED: CauseCategory.CONFIG_ERROR,
    CauseCode.NOT_SENT: CauseCategory.TENANT_VM,
    CauseCode.REPLY_LOST: CauseCategory.UNKNOWN,
    CauseCode.NO_REPLY: CauseCategory.TENANT_VM,
    CauseCode.CONNECTION_REFUSED: CauseCategory.TENANT_VM,
    CauseCode.EVIDENCE_LOST: CauseCategory.UNKNOWN,
    CauseCode.UNSUPPORTED: CauseCategory.UNSUPPORTED_ACTION,
    CauseCode.INTERNAL_ERROR: CauseCategory.UNKNOWN,
    CauseCode.UNKNOWN: CauseCategory.UNKNOWN,
}

_ROUTED_BY = ("ipv4_dst", "ipv6_dst")
_FORWARDED_BY = (*_ROUTED_BY, "eth_dst")
_TRAFFIC = (
    *("ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ip_proto", "ip_frag"),
    *("tcp_src", "tcp_dst", "tcp_flags", "udp_src", "udp_dst", "sctp_src", "sctp_dst"),
    *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"),
)
"""What a rule about traffic would name. Ports, registers, VNIs and MAC addresses only say whose default it is."""

_CT_NEW, _CT_INVALID = 0x01, 0x10
"""Bits of ct_state (ovs-fields(7)): the first packet of no known connection; a packet that can be of no connection."""

_BY_SHAPE = {
    DropShape.TTL_EXCEEDED: CauseCode.TTL_EXPIRED,
    DropShape.OUTPUT_TO_INGRESS: CauseCode.OUTPUT_TO_INGRESS,
    DropShape.PORT_DOWN: CauseCode.PORT_DOWN,
    DropShape.PORT_GONE: CauseCode.PORT_GONE,
    DropShape.NO_LIVE_BUCKET: CauseCode.NO_LIVE_BUCKET,
    DropShape.RESUBMIT_LIMIT: CauseCode.TRANSLATION_LIMIT,
    DropShape.RECURSION_LIMIT: CauseCode.TRANSLATION_LIMIT,
    DropShape.UNSUPPORTED: CauseCode.UNSUPPORTED,
    DropShape.METER: CauseCode.METER_RATE_LIMIT,
}


def cause_of_drop(shape: DropShape, role: TableRole | None, flow: FlowKey | None, owner: str | None) -> CauseCode:
    """Why a table walk ended: by its shape, and for drops by flow or miss by what the table decides (``role``).

    ``owner`` is whom the profile names for the flow's cookie: it tells a rule about all traffic from a default.
    """
    by_shape = _BY_SHAPE.get(shape)
    if by_shape is not None:
        return by_shape
    if _wants_state(flow, _CT_INVALID):
        return CauseCode.CONNECTION_INVALID
    return _by_stage(shape, flow, owner, Stage.OTHER if role is None else role.stage)


_BY_MISSING_FIELD = {
    "tun_id": CauseCode.UNKNOWN_VNI,
    "vlan_vid": CauseCode.VLAN_MISMATCH,
    "vlan_tci": CauseCode.VLAN_MISMATCH,
}


def cause_of_miss(role: TableRole | None, near_misses: Iterable[NearMiss]) -> CauseCode:
    """Why nothing matches: a table that classifies takes such a packet, but of another VNI or VLAN."""
    if role is not None and role.stage is Stage.CLASSIFY:
        for near in near_misses:
            code = _BY_MISSING_FIELD.get(near.differences[0][0]) if len(near.differences) == 1 else None
            if code is not None:
                return code
    return CauseCode.TABLE_MISS


def wants_new(flow: FlowKey | None) -> bool:
    """Whether a flow matches only packets that are the first of no known connection."""
    return _wants_state(flow, _CT_NEW)


def _by_stage(shape: DropShape, flow: FlowKey | None, owner: str | None, stage: Stage) -> CauseCode:
    match stage:
        case Stage.SECURITY if wants_new(flow) and _names_none(flow, _TRAFFIC):
            return CauseCode.CONNECTION_NOT_ESTABLISHED
        case Stage.SECURITY:
            by_default = _names_none(flow, _TRAFFIC) and (owner is None or "default" in owner.lower())
            return CauseCode.SECURITY_DEFAULT_DENY if by_default else CauseCode.SECURITY_RULE_DENY
        case Stage.ANTI_SPOOFING:
            return CauseCode.ANTI_SPOOFING_DENY
        case Stage.ROUTING:
            return CauseCode.NO_ROUTE if _names_none(flow, _ROUTED_BY) else CauseCode.BLACKHOLE_ROUTE
        case Stage.FORWARDING if _names_none(flow, _FORWARDED_BY):
            return CauseCode.UNKNOWN_DESTINATION
        case Stage.FORWARDING | Stage.CLASSIFY | Stage.RATE_LIMIT | Stage.OUTPUT | Stage.OTHER:
            return _generic(shape)
        case _:
            assert_never(stage)


def _generic(shape: DropShape) -> CauseCode:
    if shape in (DropShape.NO_MATCH, DropShape.TABLE_MISS_FLOW):
        return CauseCode.TABLE_MISS
    return CauseCode.NO_OUTPUT_ACTION if shape is DropShape.NO_OUTPUT else CauseCode.EXPLICIT_DROP


def _wants_state(flow: FlowKey | None, state: int) -> bool:
    """Whether a flow matches only packets that connection tracking says this of."""
    return flow is not None and any(
        masked.field is CT_STATE and masked.value & masked.mask & state for masked in flow.match.fields
    )


def _names_none(flow: FlowKey | None, fields: tuple[str, ...]) -> bool:
    """Whether a flow is a catch-all of its table: a miss, or a match on none of the fields the table decides by."""
    return flow is None or all(masked.field.name not in fields for masked in flow.match.fields)
