"""IPv6 on the real lab: delivered, and every configuration fault named right, while the tenant notices nothing."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Network

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from vtrace_program import FrameSender, Json, Vtrace, repeating

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import RunningTraffic, TrafficProtocol, TrafficRequest
from vtrace_ovs.model.packet import Fragment, IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.pytest_plugin import Tracer

SOURCE, DESTINATION = "fd00:0:0:1::11", "fd00:0:0:2::22"
PORTS = {TrafficProtocol.ICMP: None, TrafficProtocol.TCP: 443, TrafficProtocol.UDP: 5000}
WORDS = {TrafficProtocol.ICMP: "icmp6", TrafficProtocol.TCP: "tcp6", TrafficProtocol.UDP: "udp6"}
DB = IPv6Network("fd00:0:0:2::/64")

pytestmark = pytest.mark.usefixtures("unchanged")


@contextmanager
def sending(lab: Lab, protocol: TrafficProtocol, dscp: int = 0) -> Iterator[RunningTraffic]:
    request = TrafficRequest(
        *("blue-web1", "blue-db2", protocol, PORTS[protocol]), rate=6, count=0, dscp=dscp, family=IpFamily.IPV6
    )
    number = lab.traffic.start(request)
    running = lab.traffic.running(number)
    try:
        yield running
    finally:
        lab.traffic.stop(number)


def wanted(protocol: TrafficProtocol) -> str:
    port = f",tp_dst={PORTS[protocol]}" if PORTS[protocol] else ""
    return f"{WORDS[protocol]},ipv6_src={SOURCE},ipv6_dst={DESTINATION}{port}"


def traced(program: Vtrace, protocol: TrafficProtocol, *scope: str, packets: int = 4) -> Json:
    count = ("-n", str(packets), "-t", "10")
    done = program("run", wanted(protocol), "--from", "blue-web1", *count, "-o", "json", *scope)
    document: Json = json.loads(done.stdout)
    return document


def test_traffic_over_ipv6_is_followed_to_its_vm_which_gets_it_as_it_was_sent(lab: Lab, program: Vtrace) -> None:
    for protocol, dscp in ((TrafficProtocol.TCP, 34), (TrafficProtocol.ICMP, 10)):
        ends = ("blue-web1", "blue-db2", protocol, PORTS[protocol])
        request = TrafficRequest(*ends, rate=6, count=0, dscp=dscp, family=IpFamily.IPV6, timeout=5)
        number = lab.traffic.start(request)
        document = traced(program, protocol)
        report = lab.traffic.stop(number)
        assert document["verdict"]["disposition"] == "DELIVERED"
        assert document["verdict"]["confidence"] == "observed"
        (group,) = document["groups"]
        hops = group["path"]["hops"]
        assert [hop["bridge"] for hop in hops] == [
            *("cs1/br-int", "gw1/br-int", "gw1/vr-blue", "gw1/br-int", "cs3/br-int")
        ]
        assert {hop["headers_in"]["dscp"] for hop in hops} == {dscp}
        assert hops[-1]["headers_out"]["five_tuple"]["destination"] == DESTINATION
        assert report.replies == report.sent > 0
        assert report.dscps == (dscp,)


@dataclass(frozen=True)
class Expected:
    fault: Fault
    code: str
    place: str
    table: int


EXPECTED = (
    Expected(Fault(FaultName.SECURITY_DENY), "security-rule-deny", "cs3/br-int", 40),
    Expected(Fault(FaultName.DEFAULT_DENY), "security-default-deny", "cs3/br-int", 40),
    Expected(Fault(FaultName.NO_ROUTE, prefix=DB), "no-route", "gw1/vr-blue", 10),
    Expected(Fault(FaultName.BLACKHOLE_ROUTE, prefix=DB), "blackhole-route", "gw1/vr-blue", 10),
    Expected(Fault(FaultName.RATE_LIMIT), "meter-rate-limit", "cs1/br-int", 15),
)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.fault.name.value)
def test_a_fault_in_the_way_of_ipv6_is_named(lab: Lab, vtrace: Tracer, expected: Expected) -> None:
    with lab.faults.injected(expected.fault), sending(lab, TrafficProtocol.TCP):
        verdict = vtrace.trace(wanted(TrafficProtocol.TCP), source_vm="blue-web1", packet_count=4).verdict
    assert verdict.code.value == expected.code
    assert verdict.disposition is Disposition.DROPPED
    assert verdict.culprit is not None
    assert (str(verdict.culprit.bridge), verdict.culprit.table_id) == (expected.place, expected.table)
    assert not any(word in verdict.tenant_sentence for word in ("br-int", "vr-blue", "table"))


@contextmanager
def sent_again(lab: Lab, packet: IPv6, every: float) -> Iterator[None]:
    """The same packet from blue-web1 to its gateway, again and again."""
    with FrameSender(lab, "blue-web1") as sender, repeating(lambda _: sender.send(packet), every):
        yield


def test_a_hop_limit_of_one_ends_at_the_router(lab: Lab, vtrace: Tracer) -> None:
    with sent_again(lab, IPv6(src=SOURCE, dst=DESTINATION, hlim=1) / UDP(sport=4000, dport=5000), 0.04):
        verdict = vtrace.trace(wanted(TrafficProtocol.UDP), source_vm="blue-web1", packet_count=4).verdict
    assert verdict.code is CauseCode.TTL_EXPIRED
    assert verdict.culprit is not None
    assert str(verdict.culprit.bridge) == "gw1/vr-blue"


def test_two_tenants_with_the_same_ipv6_packets_are_never_taken_for_one_another(lab: Lab, program: Vtrace) -> None:
    denied = Fault(FaultName.SECURITY_DENY, vm="blue-db2", protocol="udp", port=5000)
    with FrameSender(lab, "blue-web1") as blue_vm, FrameSender(lab, "red-web1") as red_vm:

        def send(number: int) -> None:
            for sender in (blue_vm, red_vm):
                sender.send(IPv6(src=SOURCE, dst=DESTINATION) / UDP(sport=4000, dport=5000) / f"twin {number}".encode())

        with lab.faults.injected(denied), program.controller(), repeating(send, 0.04):
            blue = program.add(wanted(TrafficProtocol.UDP), 6, 15, vni=101)
            red = program.add(wanted(TrafficProtocol.UDP), 6, 15, source_vm="red-web1")
            results = [program.result(number) for number in (blue, red)]
    for tenant, result in zip(("blue", "red"), results, strict=True):
        (group,) = result.groups
        assert group.packets == result.packets >= 6
        assert {str(hop.bridge) for hop in group.example.hops} == {
            *("cs1/br-int", "gw1/br-int", f"gw1/vr-{tenant}", "cs3/br-int")
        }
    assert [result.verdict.disposition.value for result in results] == ["DROPPED", "DELIVERED"]


def test_the_walk_of_an_ipv6_packet_is_that_of_open_vswitch(lab: Lab, program: Vtrace) -> None:
    mac = lab.base.subnet_of(lab.base.vm("blue-web1")).gateway_mac
    packet = f"{wanted(TrafficProtocol.TCP)},dl_dst={mac},tp_src=5,nw_tos=0,nw_ecn=0,tcp_flags=syn,ipv6_label=7"
    done = program("explain", packet, "--from", "blue-web1", "--against-ovs", "-o", "json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert [one["agrees"] for one in document["against_ovs"]] == [True, True, True]


@contextmanager
def pinging(lab: Lab, *options: str) -> Iterator[None]:
    command = [*lab.vms["blue-web1"].prefix, "ping", "-6", "-q", "-i", "0.1", "-w", "20", *options, DESTINATION]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as ping:
        try:
            yield
        finally:
            ping.kill()


def test_fragments_of_ipv6_are_colored_once_one_is_seen_and_a_rule_they_fail_is_named(
    lab: Lab, program: Vtrace
) -> None:
    """Open vSwitch shows later ones as protocol 44, which the rule that permits ICMPv6 does not match."""
    with pinging(lab, "-s", "4000"):
        document = traced(program, TrafficProtocol.ICMP, packets=40)
    verdict = document["verdict"]
    assert (verdict["disposition"], verdict["code"]) == ("DROPPED", "security-default-deny")
    assert verdict["culprit"]["bridge"] == "cs3/br-int"
    assert any("It is a fragment" in fact["sentence"] for fact in verdict["evidence"])
    with program.store() as store:
        kinds = {record.headers.fragment for record in store.records(document["task"]["id"])}
    assert kinds == {Fragment.FIRST, Fragment.LATER}


def test_a_next_hop_that_answers_no_solicitation_is_named_as_what_may_be_the_cause(lab: Lab, vtrace: Tracer) -> None:
    question = IPv6(src=SOURCE, dst="ff02::1:ff00:99") / ICMPv6ND_NS(tgt="fd00:0:0:1::99")
    with sent_again(lab, question, 0.2):
        verdict = vtrace.trace(wanted(TrafficProtocol.UDP), source_vm="blue-web1", trace_time=3).verdict
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.NEIGHBOUR_UNRESOLVED)
    assert "who has fd00:0:0:1::99" in verdict.operator_sentence
