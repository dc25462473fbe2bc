from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.model.overlay import Direction, Overlay, RuleAction, SecurityRule, with_tenant

Breaking = Callable[[Overlay, Fault], Overlay]


def test_a_deny_becomes_the_groups_next_rule(overlay: Overlay, broken: Breaking) -> None:
    rules = broken(overlay, Fault(FaultName.SECURITY_DENY)).tenant("blue").group("db").rules
    assert rules[:-1] == overlay.tenant("blue").group("db").rules
    assert rules[-1] == SecurityRule(7, Direction.INGRESS, RuleAction.DENY, "tcp", 443)


def test_other_subnets_are_denied_in_both_families(overlay: Overlay, broken: Breaking) -> None:
    rules = broken(overlay, Fault(FaultName.REMOTE_DENY)).tenant("blue").group("db").rules[-2:]
    assert [(rule.number, str(rule.remote)) for rule in rules] == [(7, "10.0.1.0/24"), (8, "fd00:0:0:1::/64")]
    assert {(rule.direction, rule.action, rule.protocol) for rule in rules} == {
        (Direction.INGRESS, RuleAction.DENY, None)
    }
    away = broken(overlay, Fault(FaultName.EGRESS_DENY)).tenant("blue").group("web").rules[-1]
    assert (away.direction, str(away.remote)) == (Direction.EGRESS, "fd00:0:0:2::/64")


def test_a_deny_needs_a_group(overlay: Overlay, broken: Breaking) -> None:
    blue = overlay.tenants[0]
    bare = replace(blue, vms=(*blue.vms[:-1], replace(blue.vms[-1], groups=())))
    with pytest.raises(UsageError, match="blue-db2 has no security group"):
        broken(with_tenant(overlay, bare), Fault(FaultName.SECURITY_DENY))


def test_a_default_deny_is_a_missing_permit_and_the_others_keep_their_numbers(
    overlay: Overlay, broken: Breaking
) -> None:
    rules = broken(overlay, Fault(FaultName.DEFAULT_DENY)).tenant("blue").group("db").rules
    assert [rule.number for rule in rules] == [1, 3, 4, 5, 6]


def test_a_default_deny_needs_a_permit_to_take_away(overlay: Overlay, broken: Breaking) -> None:
    with pytest.raises(UsageError, match="no rule permits tcp port 9 to blue-db2 anyway"):
        broken(overlay, Fault(FaultName.DEFAULT_DENY, port=9))


def test_a_denied_reply_is_whatever_comes_back_to_the_sender(overlay: Overlay, broken: Breaking) -> None:
    rule = broken(overlay, Fault(FaultName.REPLY_DENY, protocol="udp")).tenant("blue").group("web").rules[-1]
    assert (rule.direction, rule.action, rule.protocol, rule.port) == (Direction.INGRESS, RuleAction.DENY, "udp", None)
