"""Turns the NAT rules of a tenant into the flows and groups of its vRouter's translation tables.

 0 classify → 5 destination NAT → 10 routing → 20 neighbour → 25 back to what was asked for → 27 source NAT → 30 output

Each table undoes in the reply direction what the other one did: the destination of a request is translated in 5 and
the source of its reply in 25, both in one conntrack zone; the source of a request in 27 and the destination of its
reply in 5, both in another.
"""

from collections.abc import Iterator

from vtrace_ovs.lab.numbering import CookieKind, cookie
from vtrace_ovs.lab.program import FAMILY_WORDS, FlowLine, GroupLine
from vtrace_ovs.model.overlay import NatKind, NatRule, Overlay, Tenant
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IpFamily

DESTINATION, BACK, SOURCE = 5, 25, 27
PRIORITY = 100
_SUFFIX = {IpFamily.IPV4: "", IpFamily.IPV6: "6"}
SOURCE_ZONE = 1
"""The zone of source NAT, counted from that of destination NAT."""


def zone_of(overlay: Overlay, tenant: Tenant) -> int:
    """The conntrack zone of a tenant's destination NAT."""
    return 2 * overlay.tenants.index(tenant) + 1


def nat_flows(overlay: Overlay, tenant: Tenant, routing: int, output: int) -> Iterator[FlowLine]:
    """The flows of the three tables; what no rule is about passes them."""
    owner = cookie(CookieKind.NAT)
    yield FlowLine(DESTINATION, 0, "", f"goto_table:{routing}", owner)
    yield FlowLine(BACK, 0, "", f"goto_table:{SOURCE}", owner)
    yield FlowLine(SOURCE, 0, "", f"goto_table:{output}", owner)
    zone = zone_of(overlay, tenant)
    for rule in tenant.nat:
        yield from _rule(rule, zone, (routing, output))


def nat_groups(overlay: Overlay, tenant: Tenant, routing: int) -> Iterator[GroupLine]:
    """One select group per rule that leads to several VMs."""
    zone = zone_of(overlay, tenant)
    for rule in tenant.nat:
        if rule.balances:
            buckets = (f"bucket=ct(commit,table={routing},zone={zone},nat(dst={vm}))" for vm in _inside(rule))
            yield GroupLine(rule.number, f"type=select,{','.join(buckets)}")


def _rule(rule: NatRule, zone: int, onward: tuple[int, int]) -> Iterator[FlowLine]:
    """``zone`` is that of destination NAT."""
    routing, output = onward
    owner = cookie(CookieKind.NAT, rule.number)
    asked = _asked(rule)
    word, (from_field, to_field) = FAMILY_WORDS[rule.family], ADDRESS_FIELDS[rule.family]
    match rule.kind:
        case NatKind.SNAT:
            yield FlowLine(DESTINATION, PRIORITY, asked, f"ct(table={routing},zone={zone + SOURCE_ZONE},nat)", owner)
            toward = "" if rule.toward is None else f",{to_field}={rule.toward}"
            translate = f"ct(commit,table={output},zone={zone + SOURCE_ZONE},nat(src={rule.outside}))"
            for number, prefix in enumerate(rule.inside):
                # Replies have their source already back; every priority once, so that no two flows tie.
                priority = PRIORITY + len(rule.inside) * rule.number + number
                begun = f"{word},ct_state=-rpl,{from_field}={prefix}{toward}"
                yield FlowLine(SOURCE, priority, begun, translate, owner)
        case NatKind.DNAT:
            first = _inside(rule)[0]
            to_one = f"ct(commit,table={routing},zone={zone},nat(dst={first}))"
            yield FlowLine(DESTINATION, PRIORITY, asked, f"group:{rule.number}" if rule.balances else to_one, owner)
            for vm in _inside(rule):
                undone = f"ct(table={SOURCE},zone={zone},nat)"
                yield FlowLine(BACK, PRIORITY, f"{word},{from_field}={vm}", undone, owner)
        case NatKind.STATELESS:
            (vm,) = _inside(rule)
            yield FlowLine(DESTINATION, PRIORITY, asked, f"set_field:{vm}->{word}_dst,goto_table:{routing}", owner)
            back = f"set_field:{rule.outside}->{word}_src,goto_table:{SOURCE}"
            yield FlowLine(BACK, PRIORITY, f"{word},{from_field}={vm}", back, owner)


def _asked(rule: NatRule) -> str:
    """The traffic that comes from outside."""
    port = "" if rule.port is None else f",tp_dst={rule.port}"
    protocol = rule.protocol and rule.protocol + _SUFFIX[rule.family]
    return f"{protocol or FAMILY_WORDS[rule.family]},{ADDRESS_FIELDS[rule.family][1]}={rule.outside}{port}"


def _inside(rule: NatRule) -> tuple[str, ...]:
    return tuple(str(prefix.network_address) for prefix in rule.inside)
