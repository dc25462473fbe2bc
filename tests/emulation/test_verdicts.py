"""What a verdict on real packets says beside the cause: the whole path, the flow, how sure, what may be why."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.packet import Fragment
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition
from vtrace_ovs.pytest_plugin import Tracer
from vtrace_ovs.storage.store import Store

SOURCE, DESTINATION = "blue-web1", "blue-db2"
PORTS = {TrafficProtocol.ICMP: None, TrafficProtocol.TCP: 443, TrafficProtocol.UDP: 5000}


@contextmanager
def sending(
    lab: Lab, protocol: TrafficProtocol, source: str = SOURCE, destination: str = DESTINATION
) -> Iterator[None]:
    # So slowly that no copy is capped, however late a busy machine ends the coloring.
    request = TrafficRequest(source, destination, protocol, PORTS[protocol], rate=6, count=0)
    number = lab.traffic.start(request)
    try:
        yield
    finally:
        lab.traffic.stop(number)


def wanted(protocol: TrafficProtocol) -> str:
    port = f",tp_dst={PORTS[protocol]}" if PORTS[protocol] else ""
    return f"{protocol.value},nw_src=10.0.1.11,nw_dst=10.0.2.22{port}"


@pytest.mark.parametrize("protocol", PORTS, ids=lambda protocol: protocol.value)
def test_healthy_traffic_is_delivered_and_its_whole_path_seen(
    lab: Lab, vtrace: Tracer, protocol: TrafficProtocol
) -> None:
    with sending(lab, protocol):
        result = vtrace.assert_delivered(wanted(protocol), source_vm=SOURCE)
    (group,) = result.groups
    assert group.packets == result.packets >= 5
    assert [str(hop.bridge) for hop in group.example.hops] == [
        "cs1/br-int",
        "gw1/br-int",
        "gw1/vr-blue",
        "gw1/br-int",
        "cs3/br-int",
    ]
    assert result.verdict.confidence is Confidence.OBSERVED
    assert result.copies_lost == 0


@pytest.mark.parametrize("name", [FaultName.SECURITY_DENY, FaultName.NO_ROUTE], ids=lambda name: name.value)
def test_a_drop_that_was_logged_where_it_happened_is_observed(lab: Lab, vtrace: Tracer, name: FaultName) -> None:
    with lab.faults.injected(Fault(name)), sending(lab, TrafficProtocol.TCP):
        verdict = vtrace.trace(wanted(TrafficProtocol.TCP), source_vm=SOURCE).verdict
    assert (verdict.disposition, verdict.confidence) == (Disposition.DROPPED, Confidence.OBSERVED)


def test_loss_on_the_wire_names_both_ends(lab: Lab, vtrace: Tracer) -> None:
    with lab.faults.injected(Fault(FaultName.UNDERLAY_LINK_DOWN)), sending(lab, TrafficProtocol.TCP):
        culprit = vtrace.assert_lost(wanted(TrafficProtocol.TCP), CauseCode.UNDERLAY_LOSS, source_vm=SOURCE).verdict
    assert culprit.culprit is not None
    assert (str(culprit.culprit.next_bridge), culprit.culprit.next_node) == ("gw1/br-int", "gw1")
    facts = " ".join(fact.sentence for fact in culprit.evidence)
    assert re.search(r"Port 1 \(\w+\) of cs1/br-int sent [1-9]\d* packets while the task ran", facts), facts
    assert re.search(r"Port 1 \(\w+\) of gw1/br-int received 0 packets while the task ran", facts), facts


def test_a_dropping_flow_is_named_by_cookie_match_and_owner(lab: Lab, vtrace: Tracer) -> None:
    with lab.faults.injected(Fault(FaultName.SECURITY_DENY)), sending(lab, TrafficProtocol.TCP):
        culprit = vtrace.trace(wanted(TrafficProtocol.TCP), source_vm=SOURCE).verdict.culprit
    assert culprit is not None
    assert culprit.flow is not None
    dumped = lab.ovs("cs3").ofctl("dump-flows", str(lab.ovs("cs3").management_socket("br-int")), "table=40")
    assert f"cookie={culprit.cookie:#x}" not in dumped, "the fault is healed, its flow gone"
    assert culprit.owner == "security group db, rule 7"


def test_short_traces_one_after_another_never_miss_a_hop(lab: Lab, vtrace: Tracer) -> None:
    """Cached datapath flows of the trace before must not carry packets past a VFD (design D3, trap T39)."""
    with sending(lab, TrafficProtocol.TCP):
        for _ in range(8):
            result = vtrace.assert_delivered(wanted(TrafficProtocol.TCP), source_vm=SOURCE)
            assert len(result.groups) == 1
            assert len(result.groups[0].example.hops) == 5


def test_traffic_that_is_never_sent_is_unseen(vtrace: Tracer) -> None:
    verdict = vtrace.trace("udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=9", trace_time=1, source_vm=SOURCE).verdict
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.NOT_SENT)


def test_a_destination_nobody_answers_for_is_named_though_nothing_is_sent(lab: Lab, vtrace: Tracer) -> None:
    fault = Fault(FaultName.NEIGHBOUR_UNRESOLVED)
    with lab.faults.injected(fault), sending(lab, TrafficProtocol.UDP, destination="blue-web3"):
        result = vtrace.trace("udp,nw_src=10.0.1.11,nw_dst=10.0.1.13", trace_time=4, source_vm=SOURCE)
    assert (result.verdict.disposition, result.verdict.code) == (
        Disposition.UNSEEN,
        CauseCode.NEIGHBOUR_UNRESOLVED,
    )
    assert "10.0.1.13" in result.verdict.operator_sentence


def test_a_gateway_nobody_answers_for_is_named_as_what_may_be_the_cause(lab: Lab, vtrace: Tracer) -> None:
    """Nothing is broken in the overlay: the sender has a route by an address that nobody has."""
    sender = lab.vms[SOURCE]
    sender.run("ip", "route", "add", "10.0.2.22/32", "via", "10.0.1.99")
    try:
        with sending(lab, TrafficProtocol.UDP):
            verdict = vtrace.trace(wanted(TrafficProtocol.UDP), trace_time=4, source_vm=SOURCE).verdict
    finally:
        sender.run("ip", "route", "del", "10.0.2.22/32")
    assert verdict.code is CauseCode.NEIGHBOUR_UNRESOLVED
    assert "who has 10.0.1.99 and gets no answer; if that is its next hop" in verdict.operator_sentence


SEND_LARGE = """
import select, socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragments instead of DF
for number in range(int(sys.argv[2])):
    sender.sendto(number.to_bytes(4) * 1000, (sys.argv[1], 5000))
    select.select([sender], [], [], 0.04)  # until it is answered, which none of them is
"""


@contextmanager
def sending_large(lab: Lab) -> Iterator[None]:
    """Datagrams of 4,000 bytes, in three fragments each."""
    command = [*lab.vms[SOURCE].prefix, sys.executable, "-c", SEND_LARGE, "10.0.2.22", "250"]
    with subprocess.Popen(command) as sender:
        try:
            yield
        finally:
            sender.kill()


def test_fragments_that_a_rule_with_ports_cannot_match_are_said_to_be_why(lab: Lab, vtrace: Tracer) -> None:
    with sending_large(lab):
        result = vtrace.trace(wanted(TrafficProtocol.UDP), source_vm=SOURCE)
    verdict = result.verdict
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.SECURITY_DEFAULT_DENY)
    assert verdict.culprit is not None
    assert str(verdict.culprit.bridge) == "cs3/br-int"
    assert any("It is a fragment" in fact.sentence for fact in verdict.evidence)
    assert any("this traffic has fragments" in note for note in result.notes)
    with Store.open(vtrace.settings.database, create=False) as store:
        records = store.records(result.task_id)
    assert {record.headers.fragment for record in records} == {Fragment.FIRST, Fragment.LATER}


def test_fragments_that_are_permitted_are_followed_to_the_end(lab: Lab, vtrace: Tracer) -> None:
    command = [*lab.vms[SOURCE].prefix, "ping", "-q", "-i", "0.1", "-s", "4000", "-w", "20", "10.0.2.22"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as ping:
        try:
            result = vtrace.assert_delivered("icmp,nw_src=10.0.1.11,nw_dst=10.0.2.22", source_vm=SOURCE)
        finally:
            ping.kill()
    assert all(len(group.example.hops) == 5 and not group.example.ambiguous for group in result.groups)
