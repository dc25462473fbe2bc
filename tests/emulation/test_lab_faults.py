"""A fault strikes where it is told to and nowhere else, and faults add up; each is tried in test_fault_verdicts."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from vtrace_program import DEADLINE, await_that

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficReport, TrafficRequest

VFDS = (
    ("cs1", "br-int"),
    ("cs2", "br-int"),
    ("cs3", "br-int"),
    ("gw1", "br-int"),
    ("gw1", "vr-blue"),
    ("gw1", "vr-red"),
)


def probe(lab: Lab, source: str, destination: str, protocol: TrafficProtocol, port: int | None) -> TrafficReport:
    return lab.traffic.run(TrafficRequest(source, destination, protocol, port, rate=100, count=5, timeout=3.0))


def https(lab: Lab) -> TrafficReport:
    return probe(lab, "blue-web1", "blue-db2", TrafficProtocol.TCP, 443)


def tables(lab: Lab) -> dict[tuple[str, str], list[str]]:
    """Every flow and meter of every VFD, without counters, ages and order."""
    found = {}
    for server, bridge in VFDS:
        ovs = lab.ovs(server)
        target = str(ovs.management_socket(bridge))
        text = ovs.ofctl("--no-stats", "dump-flows", target) + ovs.ofctl("dump-meters", target)
        found[server, bridge] = sorted(re.sub(r"\(xid=\S+\)", "", line) for line in text.splitlines())
    return found


@pytest.mark.parametrize(
    "name", [FaultName.RESUBMIT_LIMIT, FaultName.REPLY_NOT_ESTABLISHED], ids=lambda name: name.value
)
def test_a_fault_that_is_traced_with_other_traffic_breaks_https_too(lab: Lab, name: FaultName) -> None:
    before = tables(lab)
    with lab.faults.injected(Fault(name)):
        assert https(lab).replies < 5
    assert tables(lab) == before


@pytest.mark.parametrize("name", [FaultName.SECURITY_DENY, FaultName.DEFAULT_DENY], ids=lambda name: name.value)
def test_a_security_fault_is_about_one_port_only(lab: Lab, name: FaultName) -> None:
    with lab.faults.injected(Fault(name, vm="blue-db2", protocol="tcp", port=443)):
        assert https(lab).received == 0
        assert probe(lab, "blue-web1", "blue-db2", TrafficProtocol.TCP, 5432).replies == 5


@pytest.mark.parametrize(
    ("name", "shape"),
    [(FaultName.NO_ROUTE, None), (FaultName.BLACKHOLE_ROUTE, "drop")],
    ids=["no-route", "blackhole-route"],
)
def test_a_routing_fault_is_a_missing_flow_or_a_drop_flow(lab: Lab, name: FaultName, shape: str | None) -> None:
    with lab.faults.injected(Fault(name, vm="blue-db2")):
        ovs = lab.ovs("gw1")
        flows = ovs.ofctl("--no-stats", "dump-flows", str(ovs.management_socket("vr-blue")), "table=10")
    routes = [line for line in flows.splitlines() if "nw_dst=10.0.2.0/24" in line]
    assert [line.rpartition("actions=")[2] for line in routes] == ([shape] if shape else [])


def test_a_lowered_rate_limit_lets_a_few_packets_through(lab: Lab) -> None:
    with lab.faults.injected(Fault(FaultName.RATE_LIMIT, vm="blue-web1", rate=2)):
        report = lab.traffic.run(TrafficRequest("blue-web1", "blue-db2", rate=50, count=50, timeout=0.5))
    assert 0 < report.replies < 10


def test_a_rate_limit_can_fall_on_a_vm_that_had_none(lab: Lab) -> None:
    before = tables(lab)
    with lab.faults.injected(Fault(FaultName.RATE_LIMIT, vm="blue-web3", rate=1)):
        report = lab.traffic.run(TrafficRequest("blue-web3", "blue-web1", rate=100, count=10, timeout=0.5))
        assert report.replies < 5
    assert tables(lab) == before


def test_a_dead_vswitchd_is_dead_and_comes_back_with_its_flows(lab: Lab) -> None:
    before = tables(lab)
    with lab.faults.injected(Fault(FaultName.VSWITCHD_DEAD, server="cs2")):
        assert "ovs-vswitchd" not in lab.ovs("cs2").pids
        assert https(lab).replies == 5
        assert probe(lab, "blue-web1", "blue-web3", TrafficProtocol.ICMP, None).received == 0
    assert tables(lab) == before
    assert probe(lab, "blue-web1", "blue-web3", TrafficProtocol.ICMP, None).replies == 5


def test_a_cut_underlay_link_parts_the_switches_and_nothing_else(lab: Lab) -> None:
    with lab.faults.injected(Fault(FaultName.UNDERLAY_LINK_DOWN)):
        assert probe(lab, "blue-web1", "blue-web3", TrafficProtocol.ICMP, None).replies == 5
        assert probe(lab, "red-web2", "red-web1", TrafficProtocol.ICMP, None).received == 0


def test_faults_add_up_and_heal_in_any_order(lab: Lab) -> None:
    before = tables(lab)
    for name in (FaultName.SECURITY_DENY, FaultName.NO_ROUTE, FaultName.VSWITCHD_DEAD):
        lab.faults.inject(Fault(name))
    lab.faults.heal(FaultName.SECURITY_DENY)
    lab.faults.heal(FaultName.VSWITCHD_DEAD)
    assert https(lab).received == 0
    lab.faults.heal_all()
    assert tables(lab) == before
    assert https(lab).replies == 5


def test_flows_of_somebody_else_survive_a_fault_and_its_heal(lab: Lab) -> None:
    ovs = lab.ovs("cs3")
    target = str(ovs.management_socket("br-int"))
    ovs.ofctl("add-flow", target, "table=40,priority=3000,cookie=0x5354,tcp,reg2=0xd,tp_dst=1,actions=drop")
    try:
        with lab.faults.injected(Fault(FaultName.SECURITY_DENY)):
            pass
        assert "cookie=0x5354" in ovs.ofctl("dump-flows", target, "cookie=0x5354/-1")
    finally:
        ovs.ofctl("del-flows", target, "cookie=0x5354/-1")


def test_what_a_fault_cut_off_is_not_sent_again_for_long(lab: Lab) -> None:
    """It would be the traffic of whoever is traced next: the kernel's own way is to try for more than a minute."""
    serve = "end = socket.create_server(('', 443)); print(); there = end.accept(); print(); sys.stdin.read()"
    call = "end = socket.create_connection(('10.0.2.22', 443)); sys.stdin.read()"
    with program(lab, "blue-db2", serve) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "\n", "it listens"
        with program(lab, "blue-web1", call):
            assert server.stdout.readline() == "\n", "it is called"
            with lab.faults.injected(Fault(FaultName.GUEST_FIREWALL, vm="blue-db2")):
                before = given_up(lab, "blue-db2")
                server.communicate(timeout=DEADLINE)
                await_that(lambda: given_up(lab, "blue-db2") > before)


def given_up(lab: Lab, vm: str) -> int:
    """Connections whose other end was silent for so long that the kernel gave up."""
    return int(lab.vm(vm).run("nstat", "-azs", "TcpExtTCPAbortOnTimeout").split()[-2])


@contextmanager
def program(lab: Lab, vm: str, text: str) -> Iterator[subprocess.Popen[str]]:
    """Python in a VM, with its sockets, until the block ends."""
    words = [*lab.vm(vm).prefix, sys.executable, "-uc", f"import socket, sys; {text}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
