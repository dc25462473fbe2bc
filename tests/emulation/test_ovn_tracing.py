"""``vtrace run`` on a real OVN: both integration bridges are traced while ovn-controller owns them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from ovn_traffic import icmp, pinging

from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import ACLS, BLOCKED, VMS, OvnVm
from vtrace_ovs.model.oxm import IPV4_SRC
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference, fingerprint
from vtrace_ovs.ovsdb.southbound import read_names
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
    assert IPV4_SRC in {masked.field for masked in culprit.flow.match.fields}
    assert result.verdict.code is CauseCode.EXPLICIT_DROP
    assert culprit.owner == f"a logical flow of OVN (or a port or group of it) with UUID {culprit.cookie:08x}-…"


def test_with_the_southbound_database_the_acl_is_named(ovn: OvnLab, vtrace: Tracer) -> None:
    asking = Tracer(replace(vtrace.settings, ovn_southbound=("unix:/nowhere", ovn.central.remote)), vtrace.ovsdb)
    with pinging(ovn, BLOCKED, DATA1.address):
        verdict = asking.trace(icmp(BLOCKED, DATA1), packet_count=3).verdict
    direction, priority, match, action = ACLS[0]
    uuid = ovn.central.nbctl("--bare", "--columns=_uuid", "find", "acl", f"priority={priority}").strip()
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY)
    assert verdict.culprit is not None
    assert verdict.culprit.table_name == "ls_out_acl"
    assert verdict.culprit.owner == (
        f'ACL {uuid[:8]}: {action} {direction}, priority {priority}, match "{match}"; '
        f"logical flow {verdict.culprit.cookie:08x} of logical switch data, stage ls_out_acl"
    )


@pytest.mark.parametrize(("table", "kind"), [("Port_Binding", "logical port"), ("Multicast_Group", "multicast group")])
def test_cookies_of_other_rows_are_named_too(ovn: OvnLab, table: str, kind: str) -> None:
    uuid = ovn.central.sbctl("--bare", "--columns=_uuid", "list", table).split()[0]
    (named,) = read_names((ovn.central.remote,), (int(uuid[:8], 16), 1), DEADLINE)
    assert named.owner.startswith(f"OVN, {kind} ")


def test_what_is_no_southbound_database_says_so(ovn: OvnLab) -> None:
    with pytest.raises(OvsdbError, match=r"db\.sock"):
        read_names((ovn.chassis["c1"].ovs.ovsdb,), (1,), DEADLINE)
