"""Turns a VM's security groups into stateless permit and deny flows, each permit with one for its replies."""

from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import FlowLine
from vtrace_ovs.model.overlay import Direction, Overlay, OverlayVm, RuleAction, SecurityGroup, SecurityRule
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IpFamily

# No two flows that a packet can match have the same priority: OpenFlow leaves open which of them wins.
DENY_PRIORITY = 2000
PERMIT_PRIORITY = 1000
REPLY_PRIORITY = 500
# Replies to a rule without a port go to ephemeral ports: one bit says "32768 and above" (RFC 6056 §2.1 lets stacks
# choose from 1024; Linux starts at 32768).
EPHEMERAL_PORTS = "tp_dst=0x8000/0x8000"
# Echo reply, destination unreachable (IPv6: and packet too big), time exceeded (RFC 792, RFC 4443).
ICMP_ANSWERS = {IpFamily.IPV4: (0, 3, 11), IpFamily.IPV6: (129, 1, 2, 3)}
WORDS = {
    IpFamily.IPV4: {None: "ip", "icmp": "icmp", "tcp": "tcp", "udp": "udp"},
    IpFamily.IPV6: {None: "ipv6", "icmp": "icmp6", "tcp": "tcp6", "udp": "udp6"},
}
# What a port and a protocol add to the priority, beside the remote's prefix length: no sum can mean two things.
STEPS = {IpFamily.IPV4: (100, 50), IpFamily.IPV6: (129, 129)}


@dataclass(frozen=True, slots=True)
class _Side:
    """Where the flows of one direction are: their table, the next one, how they know the VM, which end is remote."""

    table_id: int
    onward: int
    vm: str
    remote: int

    def match(self, rule: SecurityRule, family: IpFamily, protocol: str | None, more: str) -> str:
        remote = f"{ADDRESS_FIELDS[family][self.remote]}={rule.remote}" if rule.remote else ""
        return ",".join(filter(None, (WORDS[family][protocol], self.vm, remote, more)))


def security_flows(
    overlay: Overlay, vm: OverlayVm, egress: tuple[int, int], ingress: tuple[int, int]
) -> Iterator[FlowLine]:
    """The flows of one VM. ``egress`` and ``ingress`` are (table of the rules, table where permitted packets go on).

    Egress rules know the VM by ``in_port``, ingress rules by the output port in ``reg2``. A rule without a remote is
    about every family the VM's subnet has.
    """
    port = vm_ofport(overlay, vm)
    sides = {
        Direction.EGRESS: _Side(*egress, f"in_port={port}", remote=1),
        Direction.INGRESS: _Side(*ingress, f"reg2={port:#x}", remote=0),
    }
    tenant, spoken = overlay.tenant(vm.tenant), overlay.subnet_of(vm).families
    for group in (tenant.group(name) for name in vm.groups):
        for rule in group.rules:
            for family in rule.families:
                if family in spoken:
                    yield from _rule_flows(group, rule, family, sides)


def _rule_flows(
    group: SecurityGroup, rule: SecurityRule, family: IpFamily, sides: dict[Direction, _Side]
) -> Iterator[FlowLine]:
    owner = cookie(CookieKind.SECURITY_RULE, rule.number, group.number)
    side = sides[rule.direction]
    match = side.match(rule, family, rule.protocol, f"tp_dst={rule.port}" if rule.port else "")
    specific = _specificity(rule, family)
    if rule.action is RuleAction.DENY:
        yield FlowLine(side.table_id, DENY_PRIORITY + specific, match, "drop", owner)
        return
    yield FlowLine(side.table_id, PERMIT_PRIORITY + specific, match, f"goto_table:{side.onward}", owner)
    back = sides[Direction.INGRESS if rule.direction is Direction.EGRESS else Direction.EGRESS]
    for protocol, answers in _replies(rule, family):
        match = back.match(rule, family, protocol, answers)
        yield FlowLine(back.table_id, REPLY_PRIORITY + specific, match, f"goto_table:{back.onward}", owner)


def _specificity(rule: SecurityRule, family: IpFamily) -> int:
    """How narrow a rule is: what a port and a protocol count, and the remote's prefix length."""
    port, protocol = STEPS[family]
    prefix = rule.remote.prefixlen if rule.remote else 0
    return (port if rule.port else 0) + (protocol if rule.protocol else 0) + prefix


def _replies(rule: SecurityRule, family: IpFamily) -> Iterator[tuple[str, str]]:
    """(protocol, ports) of what answers the traffic a rule permits."""
    for protocol in ("tcp", "udp"):
        if rule.protocol in (None, protocol):
            yield protocol, f"tp_src={rule.port}" if rule.port else EPHEMERAL_PORTS
    if rule.protocol in (None, "icmp"):
        for answer in ICMP_ANSWERS[family]:
            yield "icmp", f"icmp_type={answer}"
