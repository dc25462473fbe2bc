from ipaddress import IPv4Network, IPv6Network

import pytest

from vtrace_ovs.instrumentation.reach import Target, filter_match, reach, rewrites, targets
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import (
    Action,
    ApplyActions,
    Clone,
    Conntrack,
    GotoTable,
    Group,
    Instruction,
    Learn,
    Move,
    Nat,
    Output,
    Resubmit,
    SetField,
    UnknownAction,
    WriteActions,
)
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import Bucket, Flow, GroupEntry, GroupType
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import SubField
from vtrace_ovs.model.packet import IpFamily

FILTER = filter_match(Filter("", protocol=6, source=IPv4Network("10.0.1.0/24"), destination_port=443))
NAT = Conntrack(commit=True, force=False, zone=1, table_id=None, nested=(Nat(source=True, destination=False),))


def exact(field: oxm.Field, value: int) -> MaskedField:
    return MaskedField(field, value, field.full_mask)


def flow(table_id: int, *parts: Action | GotoTable | WriteActions, match: Match | None = None) -> Flow:
    actions = tuple(part for part in parts if not isinstance(part, GotoTable | WriteActions))
    rest: tuple[Instruction, ...] = tuple(part for part in parts if isinstance(part, GotoTable | WriteActions))
    return Flow(table_id, 1, match or Match(), (ApplyActions(actions), *rest) if actions else rest)


def test_filters_become_matches_with_their_prerequisites() -> None:
    assert (
        Match.of(
            exact(oxm.ETH_TYPE, 0x0800),
            exact(oxm.IP_PROTO, 6),
            MaskedField(oxm.IPV4_SRC, 0x0A000100, 0xFFFFFF00),
            exact(oxm.TCP_DST, 443),
        )
        == FILTER
    )
    udp = filter_match(Filter("", protocol=17, source_port=53, destination=IPv4Network("0.0.0.0/0")))
    assert udp == Match.of(exact(oxm.ETH_TYPE, 0x0800), exact(oxm.IP_PROTO, 17), exact(oxm.UDP_SRC, 53))
    icmp = filter_match(Filter("", protocol=1, icmp_type=8, icmp_code=0))
    assert icmp.get(oxm.ICMP_TYPE) == exact(oxm.ICMP_TYPE, 8)


def test_ipv6_filters_become_matches_on_its_own_fields() -> None:
    prefix = IPv6Network("fd00::/64")
    icmp6 = filter_match(Filter("", 58, prefix, icmp_type=128, icmp_code=0, family=IpFamily.IPV6))
    assert icmp6 == Match.of(
        exact(oxm.ETH_TYPE, 0x86DD),
        exact(oxm.IP_PROTO, 58),
        MaskedField(oxm.IPV6_SRC, int(prefix.network_address), int(prefix.netmask)),
        exact(oxm.ICMPV6_TYPE, 128),
        exact(oxm.ICMPV6_CODE, 0),
    )
    tcp6 = filter_match(Filter("", 6, destination=prefix, destination_port=443, family=IpFamily.IPV6))
    assert tcp6.get(oxm.TCP_DST) == exact(oxm.TCP_DST, 443)
    assert not tcp6.overlaps(FILTER)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ((Resubmit(None, 4),), {Target(4, last=True)}),
        ((Resubmit(None, None),), {Target(1, last=True)}),
        ((Resubmit(None, 4), Output(1)), {Target(4, last=False)}),
        ((Resubmit(None, 4), Resubmit(None, 5)), {Target(4, last=False), Target(5, last=True)}),
        ((Clone((Resubmit(None, 4),)), Output(1)), {Target(4, last=False)}),
        ((Output(1), GotoTable(9)), {Target(9, last=True)}),
        ((WriteActions((Output(1),)), GotoTable(9)), {Target(9, last=False)}),
        ((Resubmit(None, 4), GotoTable(9)), {Target(4, last=False), Target(9, last=True)}),
        ((Conntrack(commit=False, force=False, zone=1, table_id=6),), {Target(6, last=True)}),
        ((Resubmit(None, 4), UnknownAction("x", b"")), {Target(4, last=False)}),
    ],
)
def test_tables_are_last_when_nothing_after_can_let_the_packet_out(
    instructions: tuple[Action | GotoTable | WriteActions, ...], expected: set[Target]
) -> None:
    assert set(targets(flow(1, *instructions), {})) == expected


def test_groups_lead_to_the_tables_of_their_buckets() -> None:
    group = GroupEntry(8, GroupType.ALL, (Bucket(0, 0, 0, (Resubmit(None, 30),)),))
    assert targets(flow(1, Group(8)), {8: group}) == (Target(30, last=False),)


@pytest.mark.parametrize("kind", [GroupType.SELECT, GroupType.INDIRECT, GroupType.FAST_FAILOVER])
def test_of_other_groups_one_bucket_runs_and_may_be_the_last_thing_a_packet_meets(kind: GroupType) -> None:
    group = GroupEntry(8, kind, (Bucket(0, 0, 0, (Resubmit(None, 30),)), Bucket(0, 0, 0, (Resubmit(None, 31),))))
    last = (Target(30, last=True), Target(31, last=True))
    assert targets(flow(1, NAT, Group(8)), {8: group}) == last
    once_more = (Target(30, last=False), Target(31, last=False))
    assert targets(flow(1, Group(8), Output(1)), {8: group}) == once_more
    assert targets(flow(1, Output(1), Group(8)), {8: group}) == once_more
    busy = GroupEntry(8, kind, (Bucket(0, 0, 0, (Resubmit(None, 30), Output(1))),))
    assert targets(flow(1, Group(8)), {8: busy}) == (Target(30, last=False),)


def test_flows_that_no_traced_packet_can_match_are_left_out() -> None:
    flows = (
        flow(0, Resubmit(None, 1), match=Match.of(exact(oxm.ETH_TYPE, 0x0800))),
        flow(0, Resubmit(None, 2), match=Match.of(exact(oxm.ETH_TYPE, 0x0806))),
        flow(0, Resubmit(None, 3), match=Match.of(exact(oxm.IP_PROTO, 17))),
        flow(1, match=Match.of(exact(oxm.IPV4_SRC, 0x0A000105))),
        flow(1, match=Match.of(exact(oxm.IPV4_SRC, 0x0B000105))),
        flow(5, Output(1)),
    )
    found = reach(flows, {}, (FILTER,))
    assert found.flows == {0: flows[:1], 1: flows[3:4]}
    assert found.conclusive == {0, 1}


@pytest.mark.parametrize("rewriter", [NAT, Learn(9), UnknownAction("x", b"")])
def test_a_rewritten_field_tells_nothing(rewriter: Action) -> None:
    other = flow(0, Output(1), match=Match.of(exact(oxm.IPV4_SRC, 0x0B000105)))
    assert reach((other, flow(7, rewriter)), {}, (FILTER,)).flows == {0: (other,)}


def test_a_table_that_is_also_called_in_passing_is_not_conclusive() -> None:
    flows = (flow(0, Resubmit(None, 4), Resubmit(None, 5)), flow(5, Resubmit(None, 6)), flow(4, Resubmit(None, 6)))
    assert reach(flows, {}, (FILTER,)).conclusive == {0, 5}


def test_what_actions_rewrite() -> None:
    assert oxm.IP_DSCP in rewrites(SetField(oxm.field("nw_tos"), 0, 0xFC))
    assert rewrites(Move(SubField(oxm.TUN_ID, 0, 1), SubField(oxm.IPV4_DST, 0, 1))) == {oxm.IPV4_DST}
    assert rewrites(Output(1)) == frozenset()
