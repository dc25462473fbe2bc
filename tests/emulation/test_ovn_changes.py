"""What OVN does to its own tables while, and before, traffic is traced: the verdict is that of the packet's moment.

The lab is this module's own, because its configuration changes.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ovn_traffic import icmp, pinging
from vtrace_program import await_that

from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import OUTSIDE_ADDRESS, VMS
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult
from vtrace_ovs.pytest_plugin import Tracer
from vtrace_ovs.storage.store import Store

WEB1, WEB2, DATA1, DATA2 = VMS
ELSEWHERE = "203.0.113.9"
SOME = 5
SYNC = ("--timeout=60", "--wait=hv")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OvnLab]:
    with OvnLab(tmp_path_factory.mktemp("cloud") / "lab") as running:
        yield running


@pytest.fixture
def tracer(cloud: OvnLab, tmp_path: Path) -> Tracer:
    servers = tuple(chassis.ovs.ovsdb for chassis in cloud.chassis.values())
    settings = Settings(servers, True, str(tmp_path / "vtrace.db"), tmp_path, False)
    return Tracer(replace(settings, ovn_southbound=(cloud.central.remote,)), servers)


@contextmanager
def configured(cloud: OvnLab, change: str, undo: str) -> Iterator[None]:
    """The network with a change every chassis has taken over; without it afterwards."""
    cloud.central.nbctl(*SYNC, *change.split())
    try:
        yield
    finally:
        cloud.central.nbctl(*SYNC, *undo.split())


def blamed(result: TaskResult) -> tuple[Disposition, CauseCode, str | None]:
    culprit = result.verdict.culprit
    return result.verdict.disposition, result.verdict.code, None if culprit is None else culprit.table_name


def test_without_a_route_the_routers_stage_is_named(cloud: OvnLab, tracer: Tracer) -> None:
    with (
        configured(cloud, "lr-route-del router 0.0.0.0/0", f"lr-route-add router 0.0.0.0/0 {OUTSIDE_ADDRESS}"),
        pinging(cloud, WEB1, ELSEWHERE),
    ):
        result = tracer.trace(f"icmp,nw_src={WEB1.address},nw_dst={ELSEWHERE}", packet_count=3)
    assert blamed(result) == (Disposition.DROPPED, CauseCode.NO_ROUTE, "lr_in_ip_routing")
    assert result.verdict.culprit is not None
    assert "logical router router" in (result.verdict.culprit.owner or "")


def test_a_spoofed_source_is_dropped_by_port_security(cloud: OvnLab, tracer: Tracer) -> None:
    spoofed = "10.0.1.77"
    cloud.execute(WEB1.name, ["ip", "address", "replace", f"{spoofed}/32", "dev", "eth0"])
    cloud.execute(WEB1.name, ["ip", "neighbour", "replace", WEB2.address, "lladdr", WEB2.mac, "dev", "eth0"])
    with pinging(cloud, WEB1, WEB2.address, "-I", spoofed):
        result = tracer.trace(f"icmp,nw_src={spoofed},nw_dst={WEB2.address}", packet_count=3)
    assert blamed(result) == (Disposition.DROPPED, CauseCode.ANTI_SPOOFING_DENY, "ls_in_apply_port_sec")


def test_a_destination_that_no_chassis_has_is_unknown(cloud: OvnLab, tracer: Tracer) -> None:
    ovs = cloud.chassis[WEB2.chassis].ovs
    ovs.vsctl("remove", "interface", WEB2.name, "external_ids", "iface-id")
    cloud.central.nbctl("--timeout=60", "wait-until", "logical_switch_port", WEB2.name, "up=false")
    cloud.central.nbctl(*SYNC, "sync")
    try:
        with pinging(cloud, WEB1, WEB2.address):
            result = tracer.trace(icmp(WEB1, WEB2), packet_count=3)
    finally:
        ovs.vsctl("set", "interface", WEB2.name, f"external_ids:iface-id={WEB2.name}")
        cloud.central.nbctl("--timeout=60", "wait-until", "logical_switch_port", WEB2.name, "up=true")
        cloud.central.nbctl(*SYNC, "sync")
    assert blamed(result) == (Disposition.DROPPED, CauseCode.UNKNOWN_DESTINATION, "local-output")


@contextmanager
def meanwhile(tracer: Tracer, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens once the trace that is about to begin has seen some packets delivered.

    What the coloring flow has counted would not do: OVS credits it with packets of the megaflow that it replaced.
    """
    database = tracer.settings.database
    Store.open(database).close()

    def delivered() -> bool:
        with Store.open(database, create=False) as store:
            logged = [(record.bridge.node, record.loc) for record in store.records(1)]
        return logged.count((WEB2.chassis, Loc.OUT)) >= SOME

    def once_delivered() -> None:
        await_that(delivered)
        happens()

    with ThreadPoolExecutor(1) as other:
        done = other.submit(once_delivered)
        yield
        done.result()


def test_an_acl_that_comes_while_the_trace_runs_is_blamed_for_what_it_drops_and_nothing_else(
    cloud: OvnLab, tracer: Tracer
) -> None:
    acl = f"web to-lport 1500 ip4.src=={WEB1.address}&&icmp4 drop"

    def deny() -> None:
        cloud.central.nbctl(*SYNC, "acl-add", *acl.split())

    with pinging(cloud, WEB1, WEB2.address):
        try:
            with meanwhile(tracer, deny):
                result = tracer.trace(icmp(WEB1, WEB2), packet_count=200, trace_time=8)
        finally:
            cloud.central.nbctl(*SYNC, "acl-del", "web")
    fates = {(group.verdict.disposition, group.verdict.code) for group in result.groups}
    certain = {(Disposition.DELIVERED, CauseCode.NONE), (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY)}
    assert certain <= fates <= {*certain, (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)}
    assert blamed(result) == (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY, "ls_out_acl")


def test_a_controller_that_starts_anew_and_clears_the_tables_makes_the_trace_void(
    cloud: OvnLab, tracer: Tracer
) -> None:
    chassis = cloud.chassis[WEB2.chassis]

    def restart() -> None:
        chassis.ovs.kill("ovn-controller", signal.SIGKILL)
        chassis.ovs.daemon("ovn-controller", chassis.ovs.ovsdb, control_socket=False)
        cloud.central.nbctl(*SYNC, "sync")

    with pinging(cloud, WEB1, WEB2.address), meanwhile(tracer, restart):
        result = tracer.trace(icmp(WEB1, WEB2), packet_count=300, trace_time=10)
    with Store.open(tracer.settings.database, create=False) as store:
        task = store.task(1)
    assert task is not None
    assert task.state is TaskState.INVALIDATED
    assert "somebody removed" in (task.reason or "")
    assert {group.verdict.disposition for group in result.groups} <= {Disposition.DELIVERED, Disposition.INCONCLUSIVE}
