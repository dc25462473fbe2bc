"""Turns random choices into flow tables about IPv6, neighbour discovery, ARP, labels, tags, fragments and tunnels."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from walker_generator import (
    ANYWHERE,
    IN_A_SET,
    LAST_TABLE,
    NESTED,
    PER_TABLE_SET,
    RARE,
    SMALL,
    SOMETIMES,
    header_matches,
    onward,
    register_matches,
)
from walker_judge import Traced
from walker_pipelines import ARP, IP, REG0_LOW, TCP, Wanted, flow, match
from walker_wires import PREFIX, wires

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import SubField, field

IP6: Wanted = {"eth_type": 0x86DD}
ICMP6: Wanted = {**IP6, "ip_proto": 58}
SOLICITED: Wanted = {**ICMP6, "icmpv6_type": 135, "icmpv6_code": 0}
ADVERTISED: Wanted = {**ICMP6, "icmpv6_type": 136, "icmpv6_code": 0}
_ALL6 = (1 << 128) - 1
_LOW6 = st.sampled_from(((PREFIX, _ALL6 - 3), (PREFIX | 2, _ALL6), (PREFIX | 1, _ALL6), (1, 1)))
_VTEP = st.sampled_from(((0xC0000202, 0xFFFFFFFF), (0xC0000200, 0xFFFFFF00), (1, 1)))


def _low(name: str, width: int) -> SubField:
    return SubField(field(name), 0, width)


def _set(name: str, values: st.SearchStrategy[int], prefix: int = 0) -> st.SearchStrategy[act.Action]:
    return st.builds(lambda low: act.SetField(field(name), prefix | low, field(name).full_mask), values)


def _part(
    always: Wanted, actions: st.SearchStrategy[act.Action], **sometimes: st.SearchStrategy[int | tuple[int, int]]
) -> st.SearchStrategy[tuple[Wanted, st.SearchStrategy[act.Action]]]:
    """What a flow asks for, some of it only now and then, and the actions that allows."""

    @st.composite
    def part(draw: st.DrawFn) -> tuple[Wanted, st.SearchStrategy[act.Action]]:
        asked = {name: draw(values) for name, values in sometimes.items() if draw(SOMETIMES)}
        return {**always, **asked}, ANYWHERE | actions

    return part()


_ON_IP = st.one_of(
    st.just(act.DecTtl()), _set("nw_ttl", SMALL), _set("ip_dscp", SMALL), _set("ip_ecn", SMALL), st.just(act.Group(1))
)  # group 1 sets an IPv4 address
_ON_IP4 = _ON_IP | _set("ipv4_dst", SMALL, 0x0A000000)
_ON_IP6 = st.one_of(
    _ON_IP.filter(lambda each: not isinstance(each, act.Group)),
    _set("ipv6_dst", SMALL, PREFIX), _set("ipv6_src", SMALL, PREFIX), _set("ipv6_label", SMALL),
    st.just(act.SetField(field("ipv6_dst"), 2, 3)), st.just(act.Move(_low("ipv6_dst", 2), _low("reg0", 2))),
    st.just(act.Move(_low("ipv6_src", 128), _low("ipv6_dst", 128))),
)  # fmt: skip
_ON_ND = _ON_IP6 | _set("nd_target", SMALL, PREFIX) | st.just(act.Move(_low("nd_target", 128), _low("ipv6_dst", 128)))
_ON_SLL = _set("nd_sll", SMALL) | st.just(act.Move(_low("nd_sll", 48), _low("eth_dst", 48)))
_ON_TLL = _set("nd_tll", SMALL) | st.just(act.Move(_low("nd_tll", 48), _low("eth_dst", 48)))
_ON_ARP = st.one_of(
    _set("arp_op", SMALL), _set("arp_tpa", SMALL, 0x0A000000), _set("arp_sha", SMALL),
    st.just(act.Move(_low("arp_spa", 32), _low("arp_tpa", 32))),
    st.just(act.Move(_low("arp_tha", 48), _low("eth_dst", 48))),
)  # fmt: skip
_ON_LABELS = st.one_of(
    _set("mpls_label", SMALL), _set("mpls_tc", SMALL), _set("mpls_ttl", SMALL), st.just(act.DecMplsTtl()),
    st.just(act.PushMpls(0x8848)), st.just(act.Move(_low("mpls_label", 16), REG0_LOW)),
)  # fmt: skip
_ON_TUNNEL = st.one_of(
    st.just(act.Move(_low("tun_id", 2), _low("reg0", 2))), st.builds(act.SetTunnelId, SMALL),
    _set("tun_dst", SMALL, 0xC0000200), st.just(act.Move(_low("tun_src", 32), _low("reg1", 32))),
)  # fmt: skip
_TAGGED = st.sampled_from(((0x1000, 0x1000), (0x1005, 0x1FFF), (0x7005, 0xFFFF)))
_ON_TAGS = _set("vlan_vid", SMALL.map(lambda low: 0x1000 | low)) | _set("vlan_pcp", SMALL)
_FLOW_LABELS: st.SearchStrategy[int | tuple[int, int]] = st.sampled_from((0, 0x12345, (1, 1)))
_ARP_NET = st.just((0x0A000000, 0xFFFFFFFE))
_BOTTOM = st.integers(0, 1)
_PROTOCOLS = st.sampled_from((1, 6, 17))
_ANY_PARTS = (
    _part({}, NESTED),
    _part({}, _ON_TUNNEL, tun_id=st.one_of(SMALL, st.just((1, 1))), tun_src=_VTEP, tun_dst=_VTEP),
)
PARTS = {
    "IPv4": (
        _part(IP, _ON_IP4, ip_frag=st.sampled_from(((0, 3), (1, 3), (3, 3), (1, 1))), ip_proto=_PROTOCOLS),
        _part(TCP, _ON_IP4, tcp_dst=SMALL, tcp_flags=st.sampled_from(((2, 2), (0x10, 0x12), (0x800, 0x800)))),
        _part({**IP, "ip_proto": 1}, _ON_IP4, icmp_type=st.sampled_from((0, 8)), icmp_code=st.just(0)),
    ),
    "IPv6": (
        _part({**IP6, "ip_proto": 6}, _ON_IP6, ipv6_src=_LOW6, ipv6_dst=_LOW6, tcp_dst=SMALL),
        _part({**IP6, "ip_proto": 17}, _ON_IP6, ipv6_dst=_LOW6, udp_dst=SMALL),
        _part(IP6, _ON_IP6, ipv6_label=_FLOW_LABELS, ip_dscp=st.sampled_from((0, 18)), nw_ttl=SMALL),
        _part(ICMP6, _ON_IP6, icmpv6_type=st.sampled_from((128, 129)), ipv6_dst=_LOW6),
    ),
    "discovery": (
        _part(SOLICITED, _ON_ND | _ON_SLL, nd_target=_LOW6, nd_sll=SMALL),
        _part(ADVERTISED, _ON_ND | _ON_TLL, nd_target=_LOW6, nd_tll=SMALL),
        _part(ICMP6, _ON_IP6, icmpv6_type=st.sampled_from((135, 136)), icmpv6_code=_BOTTOM, ipv6_dst=_LOW6),
    ),
    "ARP": (
        _part(ARP, _ON_ARP, arp_op=SMALL, arp_spa=_ARP_NET, arp_tpa=st.just(0x0A000002)),
        _part(ARP, _ON_ARP, arp_sha=SMALL, arp_tha=SMALL, arp_tpa=st.just((0x0A000000, 0xFFFFFFFE))),
    ),
    "labels": (
        _part({"eth_type": 0x8847}, _ON_LABELS, mpls_label=SMALL, mpls_tc=SMALL, mpls_bos=_BOTTOM, mpls_ttl=SMALL),
        _part({"eth_type": 0x8848}, _ON_LABELS, mpls_label=SMALL, mpls_bos=_BOTTOM),
    ),
}  # fmt: skip


@st.composite
def flows(draw: st.DrawFn, kind: str, table_id: int, priority: int) -> Flow:
    parts = _ANY_PARTS if draw(RARE) else PARTS[kind]
    matched, choices = draw(st.sampled_from(parts).flatmap(lambda part: part))
    wanted = {**draw(register_matches()), **draw(header_matches()), **matched}
    actions = onward(draw(st.lists(choices, min_size=draw(st.integers(0, 2)), max_size=4)), table_id)
    labelled = "mpls_bos" in wanted or wanted.get("eth_type", 0) in {0x8847, 0x8848}
    if draw(SOMETIMES) and not labelled:
        wanted["vlan_tci"] = draw(_TAGGED)
        actions = [*draw(st.lists(_ON_TAGS, max_size=1)), *([act.PopVlan()] if draw(st.booleans()) else []), *actions]
    elif draw(RARE) and not labelled and "vlan_tci" not in wanted:
        actions.insert(0, act.PushVlan(0x8100))
    instructions: list[act.Instruction] = [act.ApplyActions(tuple(actions))] if actions else []
    if "ip_proto" in wanted and draw(RARE):
        instructions.append(act.WriteActions(tuple(draw(st.lists(IN_A_SET, min_size=1, max_size=2)))))
    if table_id < LAST_TABLE and draw(st.booleans()):
        instructions.append(act.GotoTable(draw(st.integers(table_id + 1, LAST_TABLE))))
    return flow(table_id, priority, match(**wanted), *instructions)


@dataclass(frozen=True)
class WireCase:
    """Tables and packets; a failure prints those that matter, so this one need not print them all."""

    flows: list[Flow]
    packets: Sequence[Traced]

    def __repr__(self) -> str:
        return f"{len(self.flows)} flows and {len(self.packets)} packets"


@st.composite
def wire_cases(draw: st.DrawFn) -> WireCase:
    """Four tables of a few flows each, about one kind of packet, and packets that are mostly of this kind.

    No two flows have the same key.
    """
    kind = draw(st.sampled_from(sorted(PARTS)))
    made: list[Flow] = []
    for table_id in range(LAST_TABLE + 1):
        made += [draw(flows(kind, table_id, at + 1)) for at in range(draw(st.integers(2, 5)))]
        if not draw(SOMETIMES):
            actions = act.ApplyActions(tuple(onward(draw(st.lists(ANYWHERE, min_size=1, max_size=3)), table_id)))
            further = [act.GotoTable(table_id + 1)] if table_id < LAST_TABLE else []
            made.append(flow(table_id, 0, match(), actions, *further))
    packets = st.one_of(wires(kind), wires(kind), wires(kind), st.sampled_from(sorted(PARTS)).flatmap(wires))
    several = st.lists(packets, min_size=PER_TABLE_SET, max_size=PER_TABLE_SET, unique=True)
    return WireCase(list({each.key: each for each in made}.values()), draw(several))
