"""Two tenants with the same addresses and the same packets are traced at once, and never taken for one another."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.inet import IP, UDP
from vtrace_program import UDP as TRAFFIC
from vtrace_program import FrameSender, Vtrace, repeating

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.numbering import TUNNEL_OFPORT, patch_ofport, vm_ofport
from vtrace_ovs.model.overlay import OverlaySubnet
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, PathGroup, TaskResult
from vtrace_ovs.pytest_plugin import Tracer

DENIED = Fault(FaultName.SECURITY_DENY, vm="blue-db2", protocol="udp", port=5000)
TENANTS = ("blue", "red")
Way = list[tuple[str, int | None, int | None, int | None, int | None]]
"""Every hop of a packet: bridge, in_port, VNI it came by, out_port, VNI it left by."""

pytestmark = pytest.mark.usefixtures("unchanged", "twins")


@pytest.fixture
def twins(lab: Lab) -> Iterator[None]:
    """Both tenants send the same IP packets, byte for byte and side by side, until the test is over."""
    with FrameSender(lab, "blue-web1") as blue, FrameSender(lab, "red-web1") as red:

        def send(number: int) -> None:
            for sender in (blue, red):
                sender.send(IP(src="10.0.1.11", dst="10.0.2.22", id=number) / UDP(sport=4000, dport=5000) / b"twin")

        with repeating(send, 0.04) as sent:
            yield
        assert sent.result() > 8


def subnets(lab: Lab, tenant: str) -> tuple[OverlaySubnet, OverlaySubnet]:
    web, db = (lab.base.subnet_of(lab.base.vm(f"{tenant}-{vm}")) for vm in ("web1", "db2"))
    return web, db


def whole_way(lab: Lab, tenant: str) -> Way:
    web, db = subnets(lab, tenant)
    at_web, at_db = (patch_ofport(lab.base, subnet) for subnet in (web, db))
    source, destination = (vm_ofport(lab.base, lab.base.vm(f"{tenant}-{vm}")) for vm in ("web1", "db2"))
    return [
        ("cs1/br-int", source, None, TUNNEL_OFPORT, web.vni),
        ("gw1/br-int", TUNNEL_OFPORT, web.vni, at_web, None),
        (f"gw1/vr-{tenant}", at_web, None, at_db, None),
        ("gw1/br-int", at_db, None, TUNNEL_OFPORT, db.vni),
        ("cs3/br-int", TUNNEL_OFPORT, db.vni, destination, None),
    ]


def way(group: PathGroup) -> Way:
    def vni(tunnel: Tunnel | None) -> int | None:
        return None if tunnel is None else tunnel.vni

    return [
        (str(hop.bridge), hop.in_port, vni(hop.arrived_by), hop.out_port, vni(hop.left_by))
        for hop in group.example.hops
    ]


@contextmanager
def traced_at_once(lab: Lab, program: Vtrace) -> Iterator[tuple[TaskResult, TaskResult]]:
    """A task per tenant in one controller: blue by VNI, red by VM."""
    with program.controller() as controller:
        blue = program.add(TRAFFIC, 8, 15, vni=subnets(lab, "blue")[0].vni)
        red = program.add(TRAFFIC, 8, 15, source_vm="red-web1")
        yield program.result(blue), program.result(red)
        assert controller.poll() is None


def test_equal_packets_of_two_tenants_are_traced_at_once_each_on_its_own_way(lab: Lab, program: Vtrace) -> None:
    with traced_at_once(lab, program) as results:
        for tenant, result in zip(TENANTS, results, strict=True):
            assert result.verdict.disposition is Disposition.DELIVERED
            assert result.verdict.confidence is Confidence.OBSERVED
            (group,) = result.groups
            assert way(group) == whole_way(lab, tenant)
            assert group.packets == result.packets >= 8
            assert result.copies_lost == 0


def test_a_fault_of_one_tenant_is_not_the_others(lab: Lab, program: Vtrace) -> None:
    with lab.faults.injected(DENIED), traced_at_once(lab, program) as (blue, red):
        assert blue.verdict.code is CauseCode.SECURITY_RULE_DENY
        assert blue.verdict.culprit is not None
        assert blue.verdict.culprit.owner == "security group db, rule 7"
        assert red.verdict.disposition is Disposition.DELIVERED
        (denied,), (passed,) = blue.groups, red.groups
        assert way(denied)[:4] == whole_way(lab, "blue")[:4]
        assert way(denied)[4] == (*whole_way(lab, "blue")[4][:3], None, None)
        assert way(passed) == whole_way(lab, "red")


def test_a_task_without_scope_sees_both_tenants_on_separate_ways(lab: Lab, vtrace: Tracer) -> None:
    with lab.faults.injected(DENIED):
        result = vtrace.trace(TRAFFIC, packet_count=10, trace_time=15)
    assert result.verdict.code is CauseCode.SECURITY_RULE_DENY
    assert len(result.groups) == 2
    groups = {str(group.example.hops[2].bridge): group for group in result.groups}
    denied, passed = groups["gw1/vr-blue"], groups["gw1/vr-red"]
    assert denied.verdict.disposition is Disposition.DROPPED
    assert passed.verdict.disposition is Disposition.DELIVERED
    assert way(denied)[:4] == whole_way(lab, "blue")[:4]
    assert way(passed) == whole_way(lab, "red")
    assert denied.packets + passed.packets == result.packets >= 10
