"""``vtrace stats`` on a real OVN: connection tracking, Geneve, and ``pkt_mark`` in place of a register."""

from pathlib import Path

from ovn_traffic import icmp, pinging

from vtrace_ovs.cli.running import run_counting
from vtrace_ovs.cli.settings import read_settings
from vtrace_ovs.filters import counting_request
from vtrace_ovs.lab.ovn import INTEGRATION_BRIDGE, OvnLab
from vtrace_ovs.lab.ovn_network import BLOCKED, VMS, OvnVm
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.ovsdb.fingerprint import difference, fingerprint

pytest_plugins = ("ovn_fixtures",)

DEADLINE = 60.0
SECONDS = 3
SENDER, _, DATA1, RECEIVER = VMS


def counted(ovn: OvnLab, sender: OvnVm, receiver: OvnVm, place: Path) -> CountReport:
    """What counting a ping for some seconds finds; the integration bridges are as before then."""
    connections = tuple(chassis.ovs.ovsdb for chassis in ovn.chassis.values())
    settings = read_settings({"VTRACE_DATABASE": str(place / "vtrace.db"), "VTRACE_RUNDIR": str(place)})
    directories = [chassis.ovs.directory for chassis in ovn.chassis.values()]
    before = [fingerprint(directory, INTEGRATION_BRIDGE, DEADLINE) for directory in directories]
    with pinging(ovn, sender, receiver.address):
        request = counting_request(icmp(sender, receiver), counting_time=SECONDS)
        task, found, finished = run_counting(request, settings, connections, None)
    after = [fingerprint(directory, INTEGRATION_BRIDGE, DEADLINE) for directory in directories]
    assert [line for old, new in zip(before, after, strict=True) for line in difference(old, new)] == []
    assert finished, task
    assert found is not None, task
    return found


def test_a_ping_across_the_router_into_acls_is_counted_at_both_chassis(ovn: OvnLab, tmp_path: Path) -> None:
    found = counted(ovn, SENDER, RECEIVER, tmp_path)
    assert found.verdict.disposition is Disposition.DELIVERED, found
    assert found.counted.entered > 0
    for interval in found.counted.intervals:
        came = {vfd.bridge: vfd.came for vfd in interval.vfds}
        both = (BridgeId(vm.chassis, INTEGRATION_BRIDGE) for vm in (SENDER, RECEIVER))
        assert came == dict.fromkeys(both, interval.entered)


def test_what_an_acl_drops_is_counted_at_the_flow_that_drops_it(ovn: OvnLab, tmp_path: Path) -> None:
    found = counted(ovn, BLOCKED, DATA1, tmp_path)
    assert (found.verdict.disposition, found.verdict.code) == (Disposition.DROPPED, CauseCode.EXPLICIT_DROP), found
    culprit = found.verdict.culprit
    assert culprit is not None
    assert culprit.bridge == BridgeId(DATA1.chassis, INTEGRATION_BRIDGE)
    assert culprit.flow is not None
    assert found.counted.lost == found.counted.entered > 0
