"""``vtrace run`` on a real OVN: both integration bridges are traced while ovn-controller owns them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import BLOCKED, VMS, OvnVm
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import Confidence, Disposition
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference, fingerprint
from vtrace_ovs.pytest_plugin import Tracer

pytest_plugins = ("ovn_fixtures",)

DEADLINE = 20.0
WEB1, WEB2, DATA1, DATA2 = VMS
DELIVERED = {
    "on one chassis, across the router": (WEB1, DATA1),
    "between chassis, in one switch": (WEB1, WEB2),
    "between chassis, across the router, into ACLs": (WEB1, DATA2),
}


@pytest.fixture
def vtrace_ovsdb(ovn: OvnLab) -> tuple[str, ...]:
    return tuple(chassis.ovs.ovsdb for chassis in ovn.chassis.values())


@pytest.fixture(scope="module")
def before(ovn: OvnLab) -> dict[str, Fingerprint]:
    return pictures(ovn)


@pytest.fixture(autouse=True)
def unchanged(ovn: OvnLab, before: dict[str, Fingerprint]) -> Iterator[None]:
    yield
    after = pictures(ovn)
    assert [line for name in before for line in difference(before[name], after[name])] == []


def pictures(ovn: OvnLab) -> dict[str, Fingerprint]:
    return {
        name: fingerprint(chassis.ovs.directory, INTEGRATION_BRIDGE, DEADLINE) for name, chassis in ovn.chassis.items()
    }


@contextmanager
def pinging(ovn: OvnLab, sender: OvnVm, address: str) -> Iterator[None]:
    command = [*ovn.hosts[sender.name].prefix, "ping", "-n", "-i", "0.05", address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as ping:
        try:
            yield
        finally:
            ping.terminate()


def icmp(sender: OvnVm, receiver: OvnVm) -> str:
    return f"icmp,nw_src={sender.address},nw_dst={receiver.address}"


def br_int(vm: OvnVm) -> BridgeId:
    return BridgeId(vm.chassis, INTEGRATION_BRIDGE)


@pytest.mark.parametrize("name", DELIVERED)
def test_a_ping_is_seen_at_every_chassis_and_delivered(ovn: OvnLab, vtrace: Tracer, name: str) -> None:
    sender, receiver = DELIVERED[name]
    with pinging(ovn, sender, receiver.address):
        result = vtrace.trace(icmp(sender, receiver), packet_count=3)
    assert (result.verdict.disposition, result.verdict.confidence) == (Disposition.DELIVERED, Confidence.OBSERVED)
    assert f"the port of {receiver.name}" in result.verdict.operator_sentence
    (group,) = result.groups
    way = [hop.bridge for hop in group.example.hops]
    assert way == list(dict.fromkeys((br_int(sender), br_int(receiver))))


def test_what_an_acl_drops_is_seen_at_the_flow_that_drops_it(ovn: OvnLab, vtrace: Tracer) -> None:
    with pinging(ovn, BLOCKED, DATA1.address):
        result = vtrace.trace(icmp(BLOCKED, DATA1), packet_count=3)
    assert result.verdict.disposition is Disposition.DROPPED
    culprit = result.verdict.culprit
    assert culprit is not None
    assert culprit.bridge == br_int(DATA1)
    assert culprit.flow is not None
    assert ("ipv4_src", BLOCKED.address) in {
        (masked.field.name, ".".join(map(str, masked.value.to_bytes(4)))) for masked in culprit.flow.match.fields
    }
