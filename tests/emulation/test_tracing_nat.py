"""Traffic is followed through every kind of NAT, with the five-tuple it has behind it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tos_traffic import Ends, sending_tos_between
from vtrace_program import Vtrace

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficReport, TrafficRequest
from vtrace_ovs.lab.wiring import UPLINK
from vtrace_ovs.model.packet import FiveTuple
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, TaskResult
from vtrace_ovs.pytest_plugin import Tracer
from vtrace_ovs.storage.store import Store

pytestmark = pytest.mark.usefixtures("unchanged")

Case = tuple[str, str, str | None, str, str]
"""Sender, addressee, the address sent to (None: the addressee's), and source and destination behind NAT."""
SNAT: Case = ("web1", "ext1", None, "203.0.113.1", "198.51.100.9")
DNAT: Case = ("ext1", "db1", "203.0.113.21", "198.51.100.9", "10.1.2.21")
HAIRPIN: Case = ("web1", "web2", "203.0.113.12", "203.0.113.2", "10.1.1.12")
STATELESS: Case = ("ext1", "db2", "203.0.113.22", "198.51.100.9", "10.1.2.22")
CASES = {"snat": SNAT, "dnat": DNAT, "hairpin": HAIRPIN, "stateless": STATELESS}
BALANCED = "203.0.113.99"
NETWORK_HOPS = ["br-int", "br-int", "vr-green", "br-int", "br-int"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The overlay whose vRouter translates."""
    with Lab(load_topology("nat"), tmp_path_factory.mktemp("lab") / "nat") as running:
        yield running


def request(
    case: Case, count: int, protocol: TrafficProtocol = TrafficProtocol.UDP, port: int = 5000
) -> TrafficRequest:
    source, destination, address, *_ = case
    to = None if address is None else IPv4Address(address)
    return TrafficRequest(source, destination, protocol, port, rate=50, count=count, timeout=3, address=to)


def asked(lab: Lab, case: Case, protocol: str = "udp", port: int = 5000) -> str:
    """The filter as the sender knows its traffic."""
    source, destination, address, *_ = case
    to = address or lab.address(destination)
    return f"{protocol},nw_src={lab.address(source)},nw_dst={to},tp_dst={port}"


@contextmanager
def sent(lab: Lab, wanted: TrafficRequest) -> Iterator[list[TrafficReport]]:
    """Traffic until the block ends; then what both ends counted."""
    reports: list[TrafficReport] = []
    number = lab.traffic.start(wanted)
    try:
        yield reports
    finally:
        reports.append(lab.traffic.stop(number))


def key(result: TaskResult) -> tuple[str, str]:
    """Source and destination of the NAT_key, the same for every group of paths."""
    found = {group.example.nat_key for group in result.groups}
    assert len({(one.source, one.destination) for one in found if one is not None}) == 1
    (one, *_) = found
    assert isinstance(one, FiveTuple)
    return str(one.source), str(one.destination)


def test_the_lab_says_which_addresses_it_translates(lab: Lab) -> None:
    told = {str(one.rule.outside) for one in lab.state().nat if one.tenant == "green"}
    assert {"203.0.113.1", "203.0.113.21", "203.0.113.12", "203.0.113.22", BALANCED} <= told


@pytest.mark.parametrize("name", CASES)
def test_both_directions_are_followed_through_the_translation(lab: Lab, vtrace: Tracer, name: str) -> None:
    source, destination, address, outside, inside = CASES[name]
    with sent(lab, request(CASES[name], 0)) as reports:
        both = vtrace.trace_both(asked(lab, CASES[name]), packet_count=4, trace_time=15)
    assert reports[0].replies > 0
    assert (both.verdict.disposition, both.verdict.code) == (Disposition.DELIVERED, CauseCode.NONE)
    assert both.verdict.confidence is Confidence.OBSERVED
    assert both.reply is not None
    assert key(both.request) == (outside, inside)
    assert key(both.reply) == (address or str(lab.address(destination)), str(lab.address(source)))
    for group in (*both.request.groups, *both.reply.groups):
        assert [hop.bridge.name for hop in group.example.hops] == NETWORK_HOPS
        assert {loc.value for hop in group.example.hops for loc in hop.seen} == {"in", "out"}
        facts = [fact.sentence for fact in group.verdict.evidence]
        assert any(f"became {group.example.nat_key}." in fact for fact in facts)
        assert not any("stored tables" in fact for fact in facts)
    for group in both.reply.groups:
        back = group.example.five_tuple
        assert back is not None
        assert (str(back.source), str(back.destination)) == (inside, outside)


@pytest.mark.parametrize("name", CASES)
def test_no_mark_gets_past_the_last_vfd_behind_nat(lab: Lab, vtrace: Tracer, name: str) -> None:
    """Every VM is watched: what arrives has the DSCP and ECN it was sent with, while marks are on the wire between."""
    source, destination, address, *_ = CASES[name]
    others = [lab.vm(vm) for vm in lab.vms if vm not in {source, destination}]
    wire = (lab.servers["gw1"].namespace, UPLINK)
    to = address or str(lab.address(destination))
    ends = Ends(lab.vm(source), lab.vm(destination), to, wire, others)
    with sending_tos_between(ends, 0, 1, rate=100) as traffic:
        result = vtrace.trace(asked(lab, CASES[name]), packet_count=20, trace_time=15)
    assert result.verdict.disposition is Disposition.DELIVERED
    assert traffic.received == traffic.sent
    assert traffic.marks
    assert not traffic.astray


def test_records_name_the_five_tuple_on_both_sides_of_the_translation(lab: Lab, vtrace: Tracer) -> None:
    with sent(lab, request(HAIRPIN, 0)):
        result = vtrace.trace(asked(lab, HAIRPIN), packet_count=3, trace_time=15)
    with Store.open(vtrace.settings.database, create=False) as store:
        records = store.records(result.task_id)
    translated = [record for record in records if record.nat_key is not None]
    assert {(str(record.bridge), record.loc.value) for record in translated} == {("gw1/vr-green", "out")}
    for record in translated:
        assert record.five_tuple is not None
        assert record.nat_key is not None
        assert str(record.five_tuple.destination) == HAIRPIN[2]
        assert (str(record.nat_key.source), str(record.nat_key.destination)) == HAIRPIN[3:]


def test_a_drop_behind_nat_is_named_where_it_happens(lab: Lab, vtrace: Tracer) -> None:
    denied = Fault(FaultName.SECURITY_DENY, vm="db1", protocol="udp", port=5000)
    with lab.faults.injected(denied), sent(lab, request(DNAT, 0)):
        result = vtrace.trace(asked(lab, DNAT), packet_count=4, trace_time=15)
    assert result.verdict.code is CauseCode.SECURITY_RULE_DENY
    assert result.verdict.confidence is Confidence.OBSERVED
    assert result.verdict.culprit is not None
    assert str(result.verdict.culprit.bridge) == "cs2/br-int"
    assert key(result) == DNAT[3:]


def test_each_connection_is_followed_to_the_backend_it_was_given(lab: Lab, vtrace: Tracer) -> None:
    case = ("ext1", "db1", BALANCED, "", "")
    second = TrafficRequest("ext1", "db3", TrafficProtocol.TCP, 443, rate=1, count=1)
    listener = lab.traffic.start(second)
    with sent(lab, request(case, 0, TrafficProtocol.TCP, 443)) as reports:
        result = vtrace.trace(asked(lab, case, "tcp", 443), packet_count=60, trace_time=15)
    lab.traffic.stop(listener)
    assert reports[0].replies > 0
    assert result.verdict.disposition is Disposition.DELIVERED
    backends = {
        (str(group.example.nat_key.destination), group.example.hops[-1].bridge.node)
        for group in result.groups
        if group.example.nat_key is not None
    }
    assert backends == {("10.1.2.21", "cs2"), ("10.1.2.23", "cs1")}


def test_a_request_that_arrived_and_a_denied_reply_is_told_as_that(lab: Lab, vtrace: Tracer) -> None:
    denied = Fault(FaultName.REPLY_DENY, vm="web1", protocol="udp")
    with lab.faults.injected(denied), sent(lab, request(SNAT, 0)) as reports:
        both = vtrace.trace_both(asked(lab, SNAT), packet_count=4, trace_time=15)
    assert reports[0].replies == 0
    assert both.request.verdict.disposition is Disposition.DELIVERED
    assert (both.verdict.disposition, both.verdict.code) == (Disposition.DROPPED, CauseCode.REPLY_LOST)
    assert both.verdict.confidence is Confidence.OBSERVED
    assert both.verdict.culprit is not None
    assert (str(both.verdict.culprit.bridge), both.verdict.culprit.owner) == (
        "cs1/br-int",
        "security group web, rule 4",
    )
    assert both.reply is not None
    assert both.reply.verdict.code is CauseCode.SECURITY_RULE_DENY


def test_a_request_nobody_answers_is_told_as_that(lab: Lab, vtrace: Tracer) -> None:
    with sent(lab, replace(request(DNAT, 0), listen=False, rate=5.0)):  # slow: no copy of the request is capped
        both = vtrace.trace_both(asked(lab, DNAT), packet_count=3, trace_time=10)
    assert both.request.verdict.disposition is Disposition.DELIVERED
    assert (both.verdict.disposition, both.verdict.code) == (Disposition.UNSEEN, CauseCode.NO_REPLY)


def test_a_reply_traced_by_itself_is_followed_where_one_address_stood_for_one(lab: Lab, vtrace: Tracer) -> None:
    with sent(lab, request(DNAT, 0)):
        result = vtrace.trace("udp,nw_src=10.1.2.21,nw_dst=198.51.100.9,tp_src=5000", packet_count=4, trace_time=15)
    assert (result.verdict.disposition, result.verdict.confidence) == (Disposition.DELIVERED, Confidence.OBSERVED)
    assert key(result) == ("203.0.113.21", "198.51.100.9")


def test_a_reply_to_one_of_many_behind_an_address_is_not_taken_for_lost(lab: Lab, vtrace: Tracer) -> None:
    """Whom it was for is known to conntrack alone, so it goes on unmarked."""
    with sent(lab, request(SNAT, 0)):
        result = vtrace.trace("udp,nw_src=198.51.100.9,nw_dst=203.0.113.1,tp_src=5000", packet_count=3, trace_time=15)
    assert result.verdict.disposition is Disposition.INCONCLUSIVE
    assert "left without a mark" in result.verdict.operator_sentence


def test_the_program_traces_both_directions_at_once_and_says_what_it_would_install(lab: Lab, program: Vtrace) -> None:
    planned = program("run", asked(lab, HAIRPIN), "--both", "--dry-run")
    assert planned.returncode == 0
    assert "nw_src=203.0.113.2,nw_dst=10.1.1.12" in planned.stdout
    assert "nw_src=10.1.1.12,nw_dst=203.0.113.2" in planned.stdout
    with sent(lab, request(HAIRPIN, 0)):
        run = program("run", asked(lab, HAIRPIN), "--both", "-n", "3", "-t", "15", "-o", "json")
    document = json.loads(run.stdout)
    assert (run.returncode, document["both"]["disposition"]) == (0, "DELIVERED")
    assert document["reply"]["task"]["answers"] == document["task"]["id"] == 1
    shown = program("result", "1")
    assert (shown.returncode, [line for line in shown.stdout.splitlines() if line in ("Request", "Reply")]) == (
        0,
        ["Request", "Reply"],
    )
