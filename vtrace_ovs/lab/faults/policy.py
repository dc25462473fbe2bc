"""Turns an overlay into one whose security policy stops the traffic."""

from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, OverlayEdit, Symptom
from vtrace_ovs.model.overlay import (
    Direction,
    Overlay,
    RuleAction,
    SecurityGroup,
    SecurityRule,
    with_tenant,
)
from vtrace_ovs.model.verdict import CauseCode, Disposition


def _denied(overlay: Overlay, fault: Fault) -> Overlay:
    return _with_rules(overlay, fault, SecurityRule(1, Direction.INGRESS, RuleAction.DENY, fault.protocol, fault.port))


def _others_denied(direction: Direction) -> Callable[[Overlay, Fault], Overlay]:
    """Nothing passes between the VM and the other subnets of its tenant."""

    def edit(overlay: Overlay, fault: Fault) -> Overlay:
        vm = victim(overlay, fault)
        others = [subnet for subnet in overlay.tenant(vm.tenant).subnets if subnet.name != vm.subnet]
        remotes = [prefix for subnet in others for prefix in (subnet.prefix, subnet.prefix6) if prefix is not None]
        rules = [SecurityRule(1, direction, RuleAction.DENY, remote=remote) for remote in remotes]
        return _with_rules(overlay, fault, *rules)

    return edit


def _with_rules(overlay: Overlay, fault: Fault, *rules: SecurityRule) -> Overlay:
    """With these rules behind those of the VM's first group, numbered on."""
    vm = victim(overlay, fault)
    if not vm.groups:
        raise UsageError(f"{fault.name.value}: {vm.name} has no security group")
    group = overlay.tenant(vm.tenant).group(vm.groups[0])
    first = max((rule.number for rule in group.rules), default=0) + 1
    added = (replace(rule, number=number) for number, rule in enumerate(rules, first))
    return _with_group(overlay, replace(group, rules=(*group.rules, *added)))


def _reply_denied(overlay: Overlay, fault: Fault) -> Overlay:
    return _denied(overlay, replace(fault, port=None))


def _not_permitted(overlay: Overlay, fault: Fault) -> Overlay:
    """Without every ingress rule of the VM's groups that permits this traffic."""
    vm = victim(overlay, fault)
    removed = 0
    for name in vm.groups:
        group = overlay.tenant(vm.tenant).group(name)
        kept = tuple(rule for rule in group.rules if not _permits(rule, fault))
        removed += len(group.rules) - len(kept)
        overlay = _with_group(overlay, replace(group, rules=kept))
    if not removed:
        raise UsageError(f"default-deny: no rule permits {fault.protocol} port {fault.port} to {vm.name} anyway")
    return overlay


def _permits(rule: SecurityRule, fault: Fault) -> bool:
    return (
        rule.direction is Direction.INGRESS
        and rule.action is RuleAction.PERMIT
        and rule.protocol in {None, fault.protocol}
        and rule.port in {None, fault.port}
    )


def _with_group(overlay: Overlay, group: SecurityGroup) -> Overlay:
    tenant = overlay.tenant(group.tenant)
    groups = tuple(group if known.name == group.name else known for known in tenant.groups)
    return with_tenant(overlay, replace(tenant, groups=groups))


FAULTS = {
    FaultName.SECURITY_DENY: FaultKind(
        "a rule of the destination's security group denies the traffic",
        OverlayEdit(_denied),
        (Symptom(CauseCode.SECURITY_RULE_DENY, Disposition.DROPPED, "cs3/br-int", table=40),),
        selective=True,
        places=("vm", "protocol", "port"),
    ),
    FaultName.DEFAULT_DENY: FaultKind(
        "no rule of the destination's security groups permits the traffic",
        OverlayEdit(_not_permitted),
        (Symptom(CauseCode.SECURITY_DEFAULT_DENY, Disposition.DROPPED, "cs3/br-int", table=40),),
        selective=True,
        places=("vm", "protocol", "port"),
    ),
    FaultName.REMOTE_DENY: FaultKind(
        "a rule of the destination's security group denies all that comes from other subnets",
        OverlayEdit(_others_denied(Direction.INGRESS)),
        (Symptom(CauseCode.SECURITY_RULE_DENY, Disposition.DROPPED, "cs3/br-int", table=40),),
    ),
    FaultName.EGRESS_DENY: FaultKind(
        "a rule of the sender's security group denies all that goes to other subnets",
        OverlayEdit(_others_denied(Direction.EGRESS)),
        (Symptom(CauseCode.SECURITY_RULE_DENY, Disposition.DROPPED, "cs1/br-int", table=20),),
        of_sender=True,
    ),
    FaultName.REPLY_DENY: FaultKind(
        "a rule of the sender's security group denies the replies",
        OverlayEdit(_reply_denied),
        (Symptom(CauseCode.REPLY_LOST, Disposition.DROPPED, "cs1/br-int", table=40, both=True),),
        of_sender=True,
        selective=True,
        places=("vm", "protocol"),
    ),
}
