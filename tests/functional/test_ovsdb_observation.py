"""What a running ovs-vswitchd carries and costs is read from itself, whole or not at all, and never for long."""

import os
import signal
import subprocess
import time
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.cost import FullZone
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket, ServiceController
from vtrace_ovs.ovsdb.observation import observe

TIMEOUT = 60.0
SHORT = 0.2
DEADLINE = 60.0
FRAMES = [f"in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:{last}),eth_type(0x0800)" for last in ("02", "03")]


@pytest.fixture
def bridge(ovs: OvsInstance) -> Bridge:
    ovs.vsctl(
        *("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure", "--"),
        *("add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"),
    )
    ovs.ofctl("add-flow", "br0", "priority=2,in_port=1,eth_dst=02:00:00:00:00:02,actions=in_port")
    ovs.ofctl("add-flow", "br0", "priority=1,in_port=1,actions=drop")
    return Bridge(BridgeId("s1", "br0"), 1, BridgeRole.VSWITCH, (), ManagementSocket(str(ovs.management_socket("br0"))))


def test_megaflows_masks_and_upcalls_are_those_of_the_datapath(ovs: OvsInstance, bridge: Bridge) -> None:
    empty = observe(bridge, TIMEOUT)
    assert empty is not None
    assert (empty.megaflows, empty.masks, empty.upcalls) == (0, 0, 0)
    for frame in FRAMES:
        ovs.appctl("netdev-dummy/receive", "p1", frame)
    full = observe(bridge, TIMEOUT)
    dumped = [line for line in ovs.appctl("dpctl/dump-flows", "-m").splitlines() if "recirc_id" in line]
    assert full is not None
    assert full.megaflows == len(dumped) == len(FRAMES)
    assert full.upcalls == len(FRAMES)
    assert full.masks == 1
    assert full.at >= empty.at


def test_processor_time_is_that_of_all_threads(ovs: OvsInstance, bridge: Bridge) -> None:
    before = observe(bridge, TIMEOUT)
    ovs.appctl("revalidator/wait")
    after = observe(bridge, TIMEOUT)
    assert before is not None
    assert after is not None
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert 0 < before.cpu_seconds < after.cpu_seconds
    (pid,) = (ovs.directory / "ovs-vswitchd.pid").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    assert ticks / os.sysconf("SC_CLK_TCK") == pytest.approx(after.cpu_seconds, abs=0.5)


def test_a_pidfile_that_names_another_process_gives_no_processor_time(ovs: OvsInstance, bridge: Bridge) -> None:
    pidfile = ovs.directory / "ovs-vswitchd.pid"
    kept = pidfile.read_text()
    pidfile.write_text(f"{os.getpid()}\n")
    reading = observe(bridge, TIMEOUT)
    pidfile.write_text(kept)
    assert reading is not None
    assert (reading.cpu_seconds, reading.megaflows) == (None, 0)


def test_a_daemon_that_hangs_costs_a_timeout_and_one_that_is_dead_nothing(ovs: OvsInstance, bridge: Bridge) -> None:
    pid = int((ovs.directory / "ovs-vswitchd.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        assert observe(bridge, SHORT) is None
    finally:
        os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - begun < TIMEOUT
    ovs.kill("ovs-vswitchd")
    assert observe(bridge, TIMEOUT) is None
    assert observe(replace(bridge, attachment=ManagementSocket("/nowhere/br0.mgmt")), TIMEOUT) is None


def test_a_remote_server_tells_its_processor_time_if_it_keeps_statistics(ovs: OvsInstance, bridge: Bridge) -> None:
    remote = replace(bridge, attachment=ServiceController(f"unix:{ovs.directory / 'db.sock'}"))
    assert observe(remote, TIMEOUT) is None
    ovs.vsctl("set", "Open_vSwitch", ".", "other_config:enable-statistics=true")
    deadline = time.monotonic() + DEADLINE
    while (reading := observe(remote, TIMEOUT)) is None:
        assert time.monotonic() < deadline
    local = observe(bridge, TIMEOUT)
    assert local is not None
    assert reading.cpu_seconds == pytest.approx(local.cpu_seconds, abs=0.5)
    assert (reading.megaflows, reading.masks, reading.upcalls) == (None, None, None)
    assert observe(replace(bridge, attachment=ServiceController("unix:/nowhere.sock")), TIMEOUT) is None


def test_packet_ins_that_find_a_full_queue_are_counted(ovs: OvsInstance, bridge: Bridge) -> None:
    """A controller that reads nothing: its socket fills up, then its queue of 100, and the rest is dropped."""
    ovs.ofctl("del-flows", "br0")
    ovs.ofctl("add-flow", "br0", "in_port=1,actions=controller")
    before = observe(bridge, TIMEOUT)
    assert before is not None
    assert before.copies_dropped == 0
    control = ovs.directory / "deaf.ctl"  # it is there once the monitor has asked for packet-ins
    monitor = ["ovs-ofctl", f"--unixctl={control}", "monitor", str(ovs.management_socket("br0")), "65534"]
    with subprocess.Popen(monitor, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as deaf:
        frames = ["020000000002" + "020000000001" + "0800" + "00" * 1400] * 40
        try:
            deadline = time.monotonic() + DEADLINE
            while not control.exists():
                assert deaf.poll() is None
                assert time.monotonic() < deadline
            os.kill(deaf.pid, signal.SIGSTOP)
            while (now := observe(bridge, TIMEOUT)) is not None and not now.copies_dropped:
                assert time.monotonic() < deadline
                ovs.appctl("netdev-dummy/receive", "p1", *frames)
            assert now is not None
        finally:
            deaf.kill()


def test_a_zone_at_its_limit_is_read(ovs: OvsInstance, bridge: Bridge) -> None:
    ovs.ofctl("add-flow", "br0", "priority=9,ip,actions=ct(commit,zone=7)")
    ovs.appctl("dpctl/ct-set-limits", "zone=7,limit=1", "zone=8,limit=9")
    datagram = "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
    ovs.appctl("netdev-dummy/receive", "p1", f"{FRAMES[0]},{datagram}")
    reading = observe(bridge, TIMEOUT, zones=True)
    assert reading is not None
    assert reading.full_zones == (FullZone(7, 1, 1),)
    assert (unasked := observe(bridge, TIMEOUT)) is not None
    assert unasked.full_zones is None


def test_routes_and_neighbours_of_tunnels_are_read(ovs: OvsInstance, bridge: Bridge) -> None:
    ovs.appctl("netdev-dummy/ip4addr", "br0", "172.31.0.11/24")
    ovs.appctl("ovs/route/add", "172.31.0.0/24", "br0")
    ovs.appctl("ovs/route/add", "192.0.2.0/24", "br0", "172.31.0.1")
    ovs.appctl("tnl/neigh/set", "br0", "172.31.0.12", "02:00:00:00:00:12")
    reading = observe(bridge, TIMEOUT)
    assert reading is not None
    assert reading.reach is not None
    obstacles = [reading.reach.obstacle(IPv4Address(to)) for to in ("172.31.0.12", "172.31.0.99", "192.0.2.9")]
    assert obstacles == [
        None,
        "nobody answers for 172.31.0.99: its MAC address is not known",
        "nobody answers for 172.31.0.1, the gateway to 192.0.2.9: its MAC address is not known",
    ]
