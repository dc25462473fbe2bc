"""Turns a VM's security groups into stateless permit and deny flows, each permit with one for its replies."""

from collections.abc import Iterator

from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import FlowLine
from vtrace_ovs.model.overlay import Direction, Overlay, OverlayVm, RuleAction, SecurityGroup, SecurityRule

# No two flows that a packet can match have the same priority: OpenFlow leaves open which of them wins.
DENY_PRIORITY = 2000
PERMIT_PRIORITY = 1000
REPLY_PRIORITY = 500
# Replies to a rule without a port go to ephemeral ports: one bit says "32768 and above" (RFC 6056 §2.1 lets stacks
# choose from 1024; Linux starts at 32768).
EPHEMERAL_PORTS = "tp_dst=0x8000/0x8000"
ICMP_ANSWERS = ("icmp_type=0", "icmp_type=3", "icmp_type=11")


def security_flows(
    overlay: Overlay, vm: OverlayVm, egress: tuple[int, int], ingress: tuple[int, int]
) -> Iterator[FlowLine]:
    """The flows of one VM. ``egress`` and ``ingress`` are (table of the rules, table where permitted packets go on).

    Egress rules know the VM by ``in_port``, ingress rules by the output port in ``reg2``.
    """
    port = vm_ofport(overlay, vm)
    sides = {
        Direction.EGRESS: (*egress, f"in_port={port}", "nw_dst"),
        Direction.INGRESS: (*ingress, f"reg2={port:#x}", "nw_src"),
    }
    tenant = overlay.tenant(vm.tenant)
    for group in (tenant.group(name) for name in vm.groups):
        for rule in group.rules:
            yield from _rule_flows(group, rule, sides)


def _rule_flows(
    group: SecurityGroup, rule: SecurityRule, sides: dict[Direction, tuple[int, int, str, str]]
) -> Iterator[FlowLine]:
    owner = cookie(CookieKind.SECURITY_RULE, rule.number, group.number)
    table, onward, vm, remote_field = sides[rule.direction]
    remote = f"{remote_field}={rule.remote}" if rule.remote else ""
    port = f"tp_dst={rule.port}" if rule.port else ""
    match = ",".join(filter(None, (rule.protocol or "ip", vm, remote, port)))
    specific = _specificity(rule)
    if rule.action is RuleAction.DENY:
        yield FlowLine(table, DENY_PRIORITY + specific, match, "drop", owner)
        return
    yield FlowLine(table, PERMIT_PRIORITY + specific, match, f"goto_table:{onward}", owner)
    other_way = Direction.INGRESS if rule.direction is Direction.EGRESS else Direction.EGRESS
    table, onward, vm, remote_field = sides[other_way]
    remote = f"{remote_field}={rule.remote}" if rule.remote else ""
    for protocol, ports in _replies(rule):
        match = ",".join(filter(None, (protocol, vm, remote, ports)))
        yield FlowLine(table, REPLY_PRIORITY + specific, match, f"goto_table:{onward}", owner)


def _specificity(rule: SecurityRule) -> int:
    """How narrow a rule is: a port counts 100, a protocol 50, the remote its prefix length."""
    prefix = rule.remote.prefixlen if rule.remote else 0
    return (100 if rule.port else 0) + (50 if rule.protocol else 0) + prefix


def _replies(rule: SecurityRule) -> Iterator[tuple[str, str]]:
    """(protocol, ports) of what answers the traffic a rule permits."""
    for protocol in ("tcp", "udp"):
        if rule.protocol in (None, protocol):
            yield protocol, f"tp_src={rule.port}" if rule.port else EPHEMERAL_PORTS
    if rule.protocol in (None, "icmp"):
        for answer in ICMP_ANSWERS:
            yield "icmp", answer
