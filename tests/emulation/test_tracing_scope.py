"""VFDs that the traffic cannot come to are left alone; a way that moves takes the trace with it."""

import json
import re

import pytest
from vtrace_program import DEADLINE, OURS, UDP, Vtrace, await_that, differences, fingerprints, our_flows, sending, vfds

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest

GATEWAY = ("gw1", "br-int")
OTHER_TENANT = ("gw1", "vr-red")
ELSEWHERE = ("cs3", "br-int")
TO_WEB3 = "udp,nw_src=10.0.1.11,nw_dst=10.0.1.13,tp_dst=5000"
FORWARDING = "table=30,reg1=0x65,dl_dst=02:01:0a:00:01:0d"


def carries(lab: Lab, vfd: tuple[str, str]) -> bool:
    """Whether a VFD has flows of ours."""
    ovs = lab.ovs(vfd[0])
    return OURS in ovs.ofctl("--no-stats", "dump-flows", str(ovs.management_socket(vfd[1])))


def our_burst(lab: Lab, vfd: tuple[str, str]) -> int:
    """What our meter for copies lets through at once; others have another rate."""
    ovs = lab.ovs(vfd[0])
    (burst,) = re.findall(r"rate=2000 burst_size=(\d+)", ovs.ofctl("dump-meters", str(ovs.management_socket(vfd[1]))))
    return int(burst)


@pytest.mark.usefixtures("unchanged")
def test_the_router_of_another_tenant_is_left_alone_while_a_trace_runs(lab: Lab, program: Vtrace) -> None:
    before = fingerprints(lab)
    with program.started("run", UDP, "--from", "blue-web1", "-n", "24", "-t", "30", "-o", "json") as process:
        await_that(lambda: program.state() == "armed")
        there = {vfd for vfd in vfds(lab) if carries(lab, vfd)}
        bursts = {vfd: our_burst(lab, vfd) for vfd in there}
        during = fingerprints(lab)
        with sending(lab):
            out, error = process.communicate(timeout=DEADLINE)
    assert there == set(vfds(lab)) - {OTHER_TENANT}
    assert differences({OTHER_TENANT: before[OTHER_TENANT]}, during) == []
    document = json.loads(out)
    assert document["verdict"]["disposition"] == "DELIVERED", error
    assert document["task"]["armed"] == sorted("/".join(vfd) for vfd in there)
    assert document["task"]["vfds"] == len(vfds(lab))
    assert our_flows(lab) == 0
    assert bursts.pop(GATEWAY) == 256, "packets pass it twice: from the tunnel, and from the router"
    assert set(bursts.values()) == {128}


@pytest.mark.usefixtures("unchanged")
def test_a_dry_run_names_the_same_vfds(lab: Lab, program: Vtrace) -> None:
    planned = program("run", UDP, "--from", "blue-web1", "--dry-run").stdout.splitlines()
    named = {"/".join(vfd) for vfd in vfds(lab)}.intersection(planned)
    assert named == {"/".join(vfd) for vfd in vfds(lab) if vfd != OTHER_TENANT}
    assert "to 5 of 6 VFDs" in planned[0]


@pytest.mark.usefixtures("unchanged")
def test_a_way_that_moves_to_another_server_is_followed_there(lab: Lab, program: Vtrace) -> None:
    """The flow that knows a VM's server names another one suddenly; that server does not know the VM."""
    ovs = lab.ovs("cs1")
    socket = str(ovs.management_socket("br-int"))
    stored = ovs.ofctl("--no-stats", "dump-flows", socket, FORWARDING).splitlines()
    (flow,) = (line.strip() for line in stored if "tun_dst" in line)
    number = lab.traffic.start(TrafficRequest("blue-web1", "blue-web3", TrafficProtocol.UDP, 5000, rate=5.0, count=0))
    try:
        with program.started("run", TO_WEB3, "--from", "blue-web1", "-n", "500", "-t", "9", "-o", "json") as process:
            await_that(lambda: program.state() == "armed")
            assert not carries(lab, ELSEWHERE)
            ovs.ofctl("add-flow", socket, flow.replace("172.31.0.12", "172.31.0.13"))
            await_that(lambda: carries(lab, ELSEWHERE))
            out, error = process.communicate(timeout=DEADLINE)
    finally:
        lab.traffic.stop(number)
        ovs.ofctl("add-flow", socket, flow)
    document = json.loads(out)
    fates = {(group["verdict"]["disposition"], group["verdict"]["code"]) for group in document["groups"]}
    assert {disposition for disposition, _ in fates} <= {"DELIVERED", "DROPPED", "INCONCLUSIVE"}, (fates, error)
    dropped = [group["verdict"] for group in document["groups"] if group["verdict"]["disposition"] == "DROPPED"]
    assert {verdict["culprit"]["bridge"] for verdict in dropped} == {"/".join(ELSEWHERE)}, fates
    assert "the flow tables of cs1/br-int changed while the trace ran" in document["notes"]
    assert our_flows(lab) == 0
