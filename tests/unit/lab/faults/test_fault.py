from ipaddress import IPv4Network, IPv6Network

import pytest

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, fault_named, resolved, victim
from vtrace_ovs.model.overlay import Overlay
from vtrace_ovs.model.packet import IpFamily


def test_a_fault_is_found_by_name() -> None:
    assert fault_named("no-route") is FaultName.NO_ROUTE
    with pytest.raises(UsageError, match="there are: security-deny, default-deny"):
        fault_named("gremlins")


def test_the_default_victim_is_the_last_vm_of_the_first_tenant(overlay: Overlay) -> None:
    fault = resolved(Fault(FaultName.SECURITY_DENY), overlay, of_sender=False)
    assert (fault.vm, fault.protocol, fault.port, fault.server) == ("blue-db2", "tcp", 443, "cs3")
    assert (fault.prefix, fault.link) == (IPv4Network("10.0.2.0/24"), "pfd1-pfd2")
    assert victim(overlay, fault) == overlay.vm("blue-db2")


def test_the_prefix_is_of_the_traffics_family(overlay: Overlay) -> None:
    fault = resolved(Fault(FaultName.NO_ROUTE, family=IpFamily.IPV6), overlay, of_sender=False)
    assert fault.prefix == IPv6Network("fd00:0:0:2::/64")


def test_a_fault_of_the_sender_falls_on_the_first_vm(overlay: Overlay) -> None:
    assert resolved(Fault(FaultName.RATE_LIMIT), overlay, of_sender=True).vm == "blue-web1"


def test_icmp_has_no_port(overlay: Overlay) -> None:
    fault = resolved(Fault(FaultName.SECURITY_DENY, protocol="icmp", port=443), overlay, of_sender=False)
    assert fault.port is None


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(FaultName.SECURITY_DENY, vm="ghost"), "no VM 'ghost'"),
        (Fault(FaultName.VSWITCHD_DEAD, server="cs9"), "no server 'cs9'"),
        (Fault(FaultName.UNDERLAY_LINK_DOWN, link="a-b"), "no underlay link 'a-b'"),
        (Fault(FaultName.PFD_ACL, switch="pfd9"), "no underlay switch 'pfd9'; there are: pfd1, pfd2"),
        (Fault(FaultName.UNDERLAY_LOSSY, percent=101), "101 percent are not within 1-100"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(overlay: Overlay, fault: Fault, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolved(fault, overlay, of_sender=False)


def test_a_fault_must_be_resolved_first(overlay: Overlay) -> None:
    with pytest.raises(UsageError, match="not resolved"):
        victim(overlay, Fault(FaultName.NO_ROUTE))
