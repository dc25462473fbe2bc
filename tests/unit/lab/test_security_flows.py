from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from itertools import combinations

import pytest

from vtrace_ovs.lab.program import FlowLine
from vtrace_ovs.lab.security_flows import security_flows
from vtrace_ovs.model.overlay import Direction, Overlay, RuleAction, SecurityRule

EGRESS, INGRESS = (20, 30), (40, 50)


def flows_of(overlay: Overlay, *rules: SecurityRule) -> list[str]:
    """The flows of blue-web1 (port 10) if its group had exactly these rules: table, priority, match → actions."""
    tenant = overlay.tenants[0]
    group = replace(tenant.groups[0], rules=rules)
    tenant = replace(tenant, groups=(group, *tenant.groups[1:]))
    changed = replace(overlay, tenants=(tenant, *overlay.tenants[1:]))
    flows = security_flows(changed, changed.vm("blue-web1"), EGRESS, INGRESS)
    return [f"{flow.table_id} {flow.priority} {flow.match} → {flow.actions}" for flow in flows]


def test_a_permit_comes_with_one_for_the_replies(overlay: Overlay) -> None:
    rule = SecurityRule(1, Direction.INGRESS, RuleAction.PERMIT, "tcp", 443, IPv4Network("10.0.0.0/16"))
    assert flows_of(overlay, rule) == [
        "40 1166 tcp,reg2=0xa,nw_src=10.0.0.0/16,tp_dst=443 → goto_table:50",
        "20 666 tcp,in_port=10,nw_dst=10.0.0.0/16,tp_src=443 → goto_table:30",
    ]


def test_replies_to_any_port_go_to_ephemeral_ports_only(overlay: Overlay) -> None:
    rule = SecurityRule(1, Direction.EGRESS, RuleAction.PERMIT)
    assert flows_of(overlay, rule) == [
        "20 1000 ip,in_port=10 → goto_table:30",
        "40 500 tcp,reg2=0xa,tp_dst=0x8000/0x8000 → goto_table:50",
        "40 500 udp,reg2=0xa,tp_dst=0x8000/0x8000 → goto_table:50",
        "40 500 icmp,reg2=0xa,icmp_type=0 → goto_table:50",
        "40 500 icmp,reg2=0xa,icmp_type=3 → goto_table:50",
        "40 500 icmp,reg2=0xa,icmp_type=11 → goto_table:50",
        "20 1000 ipv6,in_port=10 → goto_table:30",
        "40 500 tcp6,reg2=0xa,tp_dst=0x8000/0x8000 → goto_table:50",
        "40 500 udp6,reg2=0xa,tp_dst=0x8000/0x8000 → goto_table:50",
        "40 500 icmp6,reg2=0xa,icmp_type=129 → goto_table:50",
        "40 500 icmp6,reg2=0xa,icmp_type=1 → goto_table:50",
        "40 500 icmp6,reg2=0xa,icmp_type=2 → goto_table:50",
        "40 500 icmp6,reg2=0xa,icmp_type=3 → goto_table:50",
    ]


def test_a_deny_stands_above_every_permit_and_answers_nothing(overlay: Overlay) -> None:
    rule = SecurityRule(2, Direction.INGRESS, RuleAction.DENY, "tcp", 23)
    assert flows_of(overlay, rule) == [
        "40 2150 tcp,reg2=0xa,tp_dst=23 → drop",
        "40 2258 tcp6,reg2=0xa,tp_dst=23 → drop",
    ]


def test_a_remote_is_of_one_family(overlay: Overlay) -> None:
    rule = SecurityRule(1, Direction.INGRESS, RuleAction.PERMIT, "tcp", 443, IPv6Network("fd00::/32"))
    assert flows_of(overlay, rule) == [
        "40 1290 tcp6,reg2=0xa,ipv6_src=fd00::/32,tp_dst=443 → goto_table:50",
        "20 790 tcp6,in_port=10,ipv6_dst=fd00::/32,tp_src=443 → goto_table:30",
    ]


def test_a_subnet_of_ipv4_alone_gets_no_flows_of_ipv6(overlay: Overlay) -> None:
    tenant = overlay.tenants[0]
    subnets = tuple(replace(subnet, prefix6=None, gateway6=None) for subnet in tenant.subnets)
    alone = replace(overlay, tenants=(replace(tenant, subnets=subnets), *overlay.tenants[1:]))
    words = {flow.match.partition(",")[0] for flow in security_flows(alone, alone.vm("blue-web1"), EGRESS, INGRESS)}
    assert words == {"ip", "tcp", "udp", "icmp"}


def test_the_cookie_names_group_and_rule(overlay: Overlay) -> None:
    flows = list(security_flows(overlay, overlay.vm("blue-db1"), EGRESS, INGRESS))
    assert {flow.cookie >> 32 for flow in flows} == {0x1AB0_05_02}
    assert {flow.cookie & 0xFFFFFFFF for flow in flows} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("name", ["blue-web1", "blue-db2", "red-web1"])
def test_no_packet_can_match_two_flows_of_one_priority(overlay: Overlay, name: str) -> None:
    flows = list(security_flows(overlay, overlay.vm(name), EGRESS, INGRESS))
    for one, other in combinations(flows, 2):
        if (one.table_id, one.priority) == (other.table_id, other.priority):
            assert not overlap(one, other), (one, other)


def overlap(one: FlowLine, other: FlowLine) -> bool:
    """Whether some packet matches both, as far as these flows' own fields go: exact values and one port mask."""
    mine, theirs = fields(one.match), fields(other.match)
    protocols = {mine["protocol"], theirs["protocol"]}
    if len({"6" in protocol for protocol in protocols}) > 1:
        return False
    if len(protocols) > 1 and not protocols & {"ip", "ipv6"}:
        return False
    return all(
        mine[name] == theirs[name]
        for name in mine.keys() & theirs.keys() - {"protocol", "nw_src", "nw_dst", "ipv6_src", "ipv6_dst"}
    )


def fields(match: str) -> dict[str, str]:
    protocol, *rest = match.split(",")
    return {"protocol": protocol, **dict(part.split("=", 1) for part in rest)}
