"""A datapath flow that contradicts the tables is found on a real Open vSwitch, and nothing else is taken for one."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.datapath import DatapathQuestion
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import FiveTuple, IpProtocol
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.datapath import DatapathAudit
from vtrace_ovs.ovsdb.revalidation import wait_rounds

TIMEOUT, ROUND = 60.0, 30.0
SOURCE, DESTINATION = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
FRAME = (
    "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
    "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src={port},dst=53)"
)


MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


def question(port: int = 1000, macs: tuple[str, str] | None = None) -> DatapathQuestion:
    return DatapathQuestion("s1", Filter.of(FiveTuple(IpProtocol.UDP, SOURCE, DESTINATION, port, 53)), macs=macs)


@pytest.fixture(params=["dummy", "dummy-pmd"])
def bridge(ovs: OvsInstance, request: pytest.FixtureRequest) -> Bridge:
    """What the main thread forwards, or a thread of its own."""
    ports = [
        word
        for number in (1, 2)
        for word in (
            *("--", "add-port", "br0", f"p{number}"),
            *("--", "set", "interface", f"p{number}", f"type={request.param}", f"ofport_request={number}"),
        )
    ]
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure", *ports)
    ovs.ofctl("add-flow", "br0", "priority=2,dl_src=02:00:00:00:00:01,udp,nw_dst=10.0.0.2,tp_src=1000,actions=output:2")
    ovs.ofctl("add-flow", "br0", "priority=1,actions=drop")
    for port in (1000, 2000):
        for _ in range(2):  # the second one meets the megaflow
            ovs.appctl("netdev-dummy/receive", "p1", FRAME.format(port=port))
    return Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, (), ManagementSocket(str(ovs.management_socket("br0"))))


def broken(ovs: OvsInstance, actions: str) -> None:
    """Change what the datapath does with the traffic, behind the back of ovs-vswitchd's tables.

    Open vSwitch changes it on the thread that has it, and says of the others that they have none.
    """
    flow = cached(ovs).partition(", ")[2].partition(", packets:")[0]
    ovs.run("ovs-appctl", "-t", str(ovs.directory / "ovs-vswitchd.ctl"), "dpctl/mod-flow", flow, actions, check=False)
    assert f"actions:{actions}" in cached(ovs)


def cached(ovs: OvsInstance) -> str:
    """The datapath's flow for the traffic."""
    (line,) = [one for one in ovs.appctl("dpctl/dump-flows", "-m").splitlines() if "udp(src=1000" in one]
    return line


def test_a_datapath_that_follows_its_tables_contradicts_nothing(bridge: Bridge) -> None:
    audit = DatapathAudit(TIMEOUT, ROUND)
    for port, there in ((1000, 1), (2000, 1), (3000, 0)):
        reading = audit.read(bridge, question(port))
        assert (reading.compared, reading.unknown, reading.contradictions) == (there, 0, ())
        assert reading.in_line


def test_a_flow_that_drops_what_the_tables_send_on_is_found_until_it_is_computed_anew(
    ovs: OvsInstance, bridge: Bridge
) -> None:
    audit = DatapathAudit(TIMEOUT, ROUND)
    broken(ovs, "drop")
    reading = audit.read(bridge, question())
    (found,) = reading.contradictions
    assert (found.actions, found.outer) == ("drop", False)
    assert found.left_out == (f"port {found.told.strip()}",)
    assert "in_port(" in found.megaflow
    assert "udp(src=1000)" in found.megaflow
    assert found.used_at <= reading.at + TIMEOUT
    assert not reading.in_line
    assert audit.read(bridge, question(2000)).in_line
    assert audit.read(bridge, question(macs=("02:00:00:00:00:0a", MACS[1]))).in_line, "another tenant's"
    assert audit.read(bridge, question(macs=MACS)).contradictions != ()
    (again,) = audit.read(bridge, question()).contradictions
    assert (again.megaflow, again.actions) == (found.megaflow, found.actions)
    ovs.appctl("revalidator/purge")
    assert audit.read(bridge, question()).in_line


def test_tables_that_change_while_the_datapath_is_read_make_no_contradiction(
    ovs: OvsInstance, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(ovs, "drop")

    def meanwhile(bridge: Bridge, rounds: int, nudge: Callable[[], None], *, timeout: float) -> bool:
        ovs.ofctl("mod-flows", "br0", "udp,nw_dst=10.0.0.2,tp_src=1000,actions=drop")
        return wait_rounds(bridge, rounds, nudge, timeout=timeout)

    monkeypatch.setattr("vtrace_ovs.ovsdb.datapath.wait_rounds", meanwhile)
    reading = DatapathAudit(TIMEOUT, ROUND).read(bridge, question())
    assert (reading.contradictions, reading.unknown, reading.in_line) == ((), 1, False)


def test_what_cannot_be_read_is_not_called_in_line(ovs: OvsInstance, bridge: Bridge, tmp_path: Path) -> None:
    ovs.appctl("dpctl/del-flows")
    gone = Bridge(bridge.id, 1, bridge.role, (), ManagementSocket(str(tmp_path / "br0.mgmt")))
    remote = Bridge(bridge.id, 1, bridge.role, (), ServiceController("tcp:192.0.2.1:6640"))
    for one in (gone, remote):
        reading = DatapathAudit(0.1, 0.1).read(one, question())
        assert (reading.compared, reading.in_line) == (None, False)
