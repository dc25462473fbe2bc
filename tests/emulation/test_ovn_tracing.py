"""``vtrace run`` on a real OVN: both integration bridges are traced while ovn-controller owns them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from ovn_traffic import connecting, icmp, pinging, sending
from tos_traffic import PORT, Ends, sending_tos_between

from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.instrumentation.marks import POOL_2
from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import ACLS, BLOCKED, GATEWAY, OUTSIDE_ADDRESS, PUBLIC_ADDRESS, VIP_OF_ONE, VMS, OvnVm
from vtrace_ovs.model.oxm import IPV4_SRC
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference, fingerprint
from vtrace_ovs.ovsdb.southbound import read_names
from vtrace_ovs.pytest_plugin import Tracer

pytest_plugins = ("ovn_fixtures",)

DEADLINE = 60.0
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
    assert any("is programmed by ovn-controller, from the southbound" in fact.sentence for fact in verdict.evidence)
    assert verdict.culprit.owner == (
        f'ACL {uuid[:8]}: {action} {direction}, priority {priority}, match "{match}"; '
        f"logical flow {verdict.culprit.cookie:08x} of logical switch data, stage ls_out_acl"
    )


def test_what_an_acl_rejects_is_named_where_names_are_known_and_else_left_open(ovn: OvnLab, vtrace: Tracer) -> None:
    asking = Tracer(replace(vtrace.settings, ovn_southbound=(ovn.central.remote,)), vtrace.ovsdb)
    wanted = f"udp,nw_src={WEB1.address},nw_dst={DATA1.address},tp_dst=161"
    # ovs-vswitchd 3.1 may abort at TCP connections that OVN resets, traced or not (an assertion of its conntrack).
    with sending(ovn, WEB1, DATA1.address, 161):
        verdicts = [each.trace(wanted, packet_count=2).verdict for each in (vtrace, asking)]
    assert [(verdict.disposition, verdict.code) for verdict in verdicts] == [
        (Disposition.INCONCLUSIVE, CauseCode.UNKNOWN),
        (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY),
    ]
    assert verdicts[1].culprit is not None
    assert "reject to-lport" in (verdicts[1].culprit.owner or "")


@pytest.mark.parametrize(("table", "kind"), [("Port_Binding", "logical port"), ("Multicast_Group", "multicast group")])
def test_cookies_of_other_rows_are_named_too(ovn: OvnLab, table: str, kind: str) -> None:
    uuid = ovn.central.sbctl("--bare", "--columns=_uuid", "list", table).split()[0]
    (named,) = read_names((ovn.central.remote,), (int(uuid[:8], 16), 1), DEADLINE)
    assert named.owner.startswith(f"OVN, {kind} ")


def test_what_is_no_southbound_database_says_so(ovn: OvnLab) -> None:
    with pytest.raises(OvsdbError, match=r"db\.sock"):
        read_names((ovn.chassis["c1"].ovs.ovsdb,), (1,), DEADLINE)


def test_what_a_load_balancer_translates_is_followed_to_its_backend(ovn: OvnLab, vtrace: Tracer) -> None:
    with connecting(ovn, WEB2, VIP_OF_ONE, 80):
        result = vtrace.trace(f"tcp,nw_src={WEB2.address},nw_dst={VIP_OF_ONE},tp_dst=80", packet_count=2)
    assert (result.verdict.disposition, result.verdict.confidence) == (Disposition.DELIVERED, Confidence.OBSERVED)
    assert f"the port of {DATA1.name}" in result.verdict.operator_sentence
    assert [hop.bridge for hop in result.groups[0].example.hops] == [br_int(WEB2), br_int(DATA1)]


def test_what_leaves_by_a_provider_bridge_is_never_called_lost(ovn: OvnLab, vtrace: Tracer) -> None:
    with pinging(ovn, WEB2, OUTSIDE_ADDRESS):
        result = vtrace.trace(f"icmp,nw_src={WEB2.address},nw_dst={OUTSIDE_ADDRESS}", packet_count=2)
    assert not result.verdict.disposition.is_loss
    (group,) = result.groups
    assert [hop.bridge for hop in group.example.hops][:2] == [br_int(WEB2), BridgeId(GATEWAY, INTEGRATION_BRIDGE)]
    assert ("nw_src", WEB2.address, PUBLIC_ADDRESS) in {
        (change.field, change.old, change.new) for hop in group.example.hops for change in hop.changes
    }


def test_a_tenants_dscp_passes_geneve_and_two_traces_as_it_was_sent(ovn: OvnLab, vtrace: Tracer) -> None:
    values = [0, 46 << 2 | 1, 10 << 2, 3]
    wire = ovn.chassis[WEB1.chassis].namespace, "uplink"
    ends = Ends(ovn.hosts[WEB1.name], ovn.hosts[WEB2.name], WEB2.address, wire)
    wanted = f"udp,nw_src={WEB1.address},nw_dst={WEB2.address},tp_dst={PORT}"
    with sending_tos_between(ends, *values, rate=60) as traffic:
        results = [vtrace.trace(wanted, packet_count=8) for _ in range(2)]
    assert [result.verdict.disposition for result in results] == [Disposition.DELIVERED] * 2
    assert traffic.received == traffic.sent
    assert traffic.marks
    assert traffic.marks <= set(POOL_2)
