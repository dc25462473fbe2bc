from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults import Fault, FaultName, fault_named, resolved, with_fault
from vtrace_ovs.model.overlay import Direction, Overlay, OverlayRoute, RateLimit, RuleAction, SecurityRule


def broken(overlay: Overlay, fault: Fault) -> Overlay:
    return with_fault(overlay, resolved(fault, overlay))


def test_a_fault_is_found_by_name() -> None:
    assert fault_named("no-route") is FaultName.NO_ROUTE
    with pytest.raises(UsageError, match="there are: security-deny, default-deny"):
        fault_named("gremlins")


def test_the_default_victim_is_the_last_vm_of_the_first_tenant(overlay: Overlay) -> None:
    fault = resolved(Fault(FaultName.SECURITY_DENY), overlay)
    assert (fault.vm, fault.protocol, fault.port, fault.server) == ("blue-db2", "tcp", 443, "cs3")
    assert (fault.prefix, fault.link) == (IPv4Network("10.0.2.0/24"), "pfd1-pfd2")


def test_a_rate_limit_falls_on_the_first_vm(overlay: Overlay) -> None:
    assert resolved(Fault(FaultName.RATE_LIMIT), overlay).vm == "blue-web1"


def test_icmp_has_no_port(overlay: Overlay) -> None:
    assert resolved(Fault(FaultName.SECURITY_DENY, protocol="icmp", port=443), overlay).port is None


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(FaultName.SECURITY_DENY, vm="ghost"), "no VM 'ghost'"),
        (Fault(FaultName.VSWITCHD_DEAD, server="cs9"), "no server 'cs9'"),
        (Fault(FaultName.UNDERLAY_LINK_DOWN, link="a-b"), "no underlay link 'a-b'"),
        (Fault(FaultName.NO_ROUTE, prefix=IPv4Network("192.0.2.0/24")), "has no route 192.0.2.0/24"),
        (Fault(FaultName.DEFAULT_DENY, port=9), "no rule permits tcp port 9 to blue-db2 anyway"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(overlay: Overlay, fault: Fault, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        broken(overlay, fault)


def test_a_fault_must_be_resolved_first(overlay: Overlay) -> None:
    with pytest.raises(UsageError, match="not resolved"):
        with_fault(overlay, Fault(FaultName.NO_ROUTE))


def test_a_deny_becomes_the_groups_next_rule(overlay: Overlay) -> None:
    rules = broken(overlay, Fault(FaultName.SECURITY_DENY)).tenant("blue").group("db").rules
    assert rules[:-1] == overlay.tenant("blue").group("db").rules
    assert rules[-1] == SecurityRule(7, Direction.INGRESS, RuleAction.DENY, "tcp", 443)


def test_a_deny_needs_a_group(overlay: Overlay) -> None:
    blue = overlay.tenants[0]
    bare = replace(blue, vms=(*blue.vms[:-1], replace(blue.vms[-1], groups=())))
    with pytest.raises(UsageError, match="blue-db2 has no security group"):
        broken(replace(overlay, tenants=(bare, *overlay.tenants[1:])), Fault(FaultName.SECURITY_DENY))


def test_a_default_deny_is_a_missing_permit_and_the_others_keep_their_numbers(overlay: Overlay) -> None:
    rules = broken(overlay, Fault(FaultName.DEFAULT_DENY)).tenant("blue").group("db").rules
    assert [rule.number for rule in rules] == [1, 3, 4, 5, 6]


def test_a_route_goes_or_turns_into_a_blackhole(overlay: Overlay) -> None:
    gone = broken(overlay, Fault(FaultName.NO_ROUTE)).tenant("blue").routes
    assert [route.number for route in gone] == [1, 3, 4, 5, 6]
    six = broken(overlay, Fault(FaultName.NO_ROUTE, prefix=IPv6Network("fd00:0:0:2::/64"))).tenant("blue").routes
    assert [route.number for route in six] == [1, 2, 3, 4, 6]
    hole = broken(overlay, Fault(FaultName.BLACKHOLE_ROUTE)).tenant("blue").routes
    assert OverlayRoute(2, IPv4Network("10.0.2.0/24"), None) in hole


def test_a_blackhole_may_be_narrower_than_any_route(overlay: Overlay) -> None:
    host = IPv4Network("10.0.2.22/32")
    routes = broken(overlay, Fault(FaultName.BLACKHOLE_ROUTE, prefix=host)).tenant("blue").routes
    assert routes[-1] == OverlayRoute(7, host, None)
    assert routes[:-1] == overlay.tenant("blue").routes


def test_a_rate_limit_replaces_the_one_there_was(overlay: Overlay) -> None:
    assert broken(overlay, Fault(FaultName.RATE_LIMIT, rate=2)).rate_limits == (RateLimit("blue-web1", 2, 1),)


@pytest.mark.parametrize("name", [FaultName.VSWITCHD_DEAD, FaultName.UNDERLAY_LINK_DOWN, FaultName.NOT_SENT])
def test_what_is_no_configuration_changes_none(overlay: Overlay, name: FaultName) -> None:
    assert broken(overlay, Fault(name)) == overlay


def test_a_denied_reply_is_whatever_comes_back_to_the_sender(overlay: Overlay) -> None:
    fault = resolved(Fault(FaultName.REPLY_DENY, protocol="udp"), overlay)
    assert fault.vm == "blue-web1"
    rule = with_fault(overlay, fault).tenant("blue").group("web").rules[-1]
    assert (rule.direction, rule.action, rule.protocol, rule.port) == (Direction.INGRESS, RuleAction.DENY, "udp", None)
