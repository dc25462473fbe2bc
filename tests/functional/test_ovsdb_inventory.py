import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Policing,
    PortKind,
    ServiceController,
)
from vtrace_ovs.ovsdb.client import TlsFiles
from vtrace_ovs.ovsdb.inventory import read_inventory

TIMEOUT = 60.0
NOBODY = 65534
BRIDGES = ("br-int", "br-phy", "br-rtr")


@pytest.fixture
def second(tmp_path: Path) -> Iterator[OvsInstance]:
    instance = OvsInstance(tmp_path / "ovs2", dummy=True)
    instance.start()
    yield instance
    instance.stop()


def make_certificate(directory: Path, name: str) -> TlsFiles:
    key, certificate = directory / f"{name}-key.pem", directory / f"{name}-cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*request, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return TlsFiles(key, certificate, certificate)


def listening_port(ovs: OvsInstance, server: str) -> str:
    """The port an ovsdb-server told to take any (``:0``) took. Reopening the log flushes it."""
    ovs.run("ovs-appctl", "-t", str(ovs.directory / f"{server}.ctl"), "vlog/reopen")
    *_, last = re.finditer(r"listening on port (\d+)", (ovs.directory / f"{server}.log").read_text())
    return last[1]


def listen_on_tcp(ovs: OvsInstance) -> str:
    control = str(ovs.directory / "ovsdb-server.ctl")
    ovs.run("ovs-appctl", "-t", control, "ovsdb-server/add-remote", "ptcp:0:127.0.0.1")
    return f"tcp:127.0.0.1:{listening_port(ovs, 'ovsdb-server')}"


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return make_certificate(tmp_path, "ovs")


@pytest.fixture
def tls_server(ovs: OvsInstance, tls: TlsFiles) -> Iterator[str]:
    """A relay is a second, TLS-only ovsdb-server in front of the same database (ovsdb(7))."""
    place = ovs.directory / "relay"
    options = [
        f"--private-key={tls.private_key}",
        f"--certificate={tls.certificate}",
        f"--ca-cert={tls.ca_certificate}",
    ]
    daemon = ["--detach", "--no-chdir", f"--pidfile={place}.pid", f"--log-file={place}.log", f"--unixctl={place}.ctl"]
    ovs.run("ovsdb-server", "--remote=pssl:0:127.0.0.1", *options, *daemon, f"relay:Open_vSwitch:{ovs.ovsdb}")
    yield f"ssl:127.0.0.1:{listening_port(ovs, 'relay')}"
    os.kill(int(Path(f"{place}.pid").read_text()), signal.SIGTERM)


def build_server(ovs: OvsInstance, hostname: str, vtep: str) -> None:
    ovs.vsctl("set", "Open_vSwitch", ".", f"external_ids:hostname={hostname}", "ovs_version=3.1.0")
    ovs.vsctl(
        *("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=dummy", "fail_mode=secure"),
        *("protocols=OpenFlow13,OpenFlow15", "other_config:datapath-id=00000000000000a1"),
        *("external_ids:vtrace-profile=lab", "--"),
        *("add-port", "br-int", "tap1", "--", "set", "interface", "tap1", "type=dummy", "ofport_request=5"),
        "ingress_policing_rate=64",
        *("external_ids:iface-id=vm-a", 'external_ids:attached-mac="00:00:00:00:00:0a"', "external_ids:ip=10.0.0.1"),
        *("external_ids:tenant=red", "external_ids:vni=100", "--"),
        *(
            "add-port",
            "br-int",
            "to-rtr",
            "--",
            "set",
            "interface",
            "to-rtr",
            "type=patch",
            "options:peer=to-int",
            "--",
        ),
        *("add-br", "br-rtr", "--", "set", "bridge", "br-rtr", "datapath_type=dummy"),
        *("external_ids:vtrace-role=vrouter", "--"),
        *(
            "add-port",
            "br-rtr",
            "to-int",
            "--",
            "set",
            "interface",
            "to-int",
            "type=patch",
            "options:peer=to-rtr",
            "--",
        ),
        *("add-port", "br-rtr", "vx0", "--", "set", "interface", "vx0", "type=vxlan", "options:remote_ip=flow"),
        *("options:key=flow", f"options:local_ip={vtep}", "--"),
        *("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=dummy", "--"),
        *("add-port", "br-phy", "eth7", "--", "set", "interface", "eth7", "type=dummy"),
    )


def test_two_servers_become_one_topology(ovs: OvsInstance, second: OvsInstance) -> None:
    build_server(ovs, "compute1", "192.0.2.1")
    build_server(second, "compute2", "192.0.2.2")
    remote = listen_on_tcp(second)
    inventory = read_inventory([ovs.ovsdb, remote], TIMEOUT)
    topology = inventory.topology
    assert inventory.problems == ()
    assert [(node.name, node.vteps, node.ovs_version) for node in topology.nodes] == [
        ("compute1", (ip_address("192.0.2.1"),), "3.1.0"),
        ("compute2", (ip_address("192.0.2.2"),), "3.1.0"),
    ]
    assert topology.node_of_vtep(ip_address("192.0.2.2")) == topology.node("compute2")
    assert [bridge.id for bridge in topology.bridges] == [
        BridgeId(node, name) for node in ("compute1", "compute2") for name in BRIDGES
    ]
    local, far = topology.bridge(BridgeId("compute1", "br-int")), topology.bridge(BridgeId("compute2", "br-int"))
    assert local is not None
    assert far is not None
    assert local.attachment == ManagementSocket(str(ovs.management_socket("br-int")))
    assert far.attachment == ServiceController(remote)


def test_a_bridge_is_read_as_vswitchd_configured_it(ovs: OvsInstance) -> None:
    build_server(ovs, "compute1", "192.0.2.1")
    topology = read_inventory([ovs.ovsdb], TIMEOUT).topology
    bridge = topology.bridge(BridgeId("compute1", "br-int"))
    assert bridge is not None
    assert (bridge.dpid, bridge.role, bridge.fail_mode, bridge.profile, bridge.datapath_type) == (
        *(0xA1, BridgeRole.VSWITCH, "secure", "lab", "dummy"),
    )
    assert bridge.protocols == ("OpenFlow13", "OpenFlow15")
    assert {port.name: port.kind for port in bridge.ports} == {
        "br-int": PortKind.LOCAL,
        "tap1": PortKind.EDGE,
        "to-rtr": PortKind.PATCH,
    }
    vm = topology.vm("vm-a")
    assert vm is not None
    assert (vm.bridge, vm.port.ofport, vm.port.mac, vm.port.tenant, vm.port.vni, vm.port.addresses) == (
        *(bridge.id, 5, "00:00:00:00:00:0a", "red", 100, (ip_address("10.0.0.1"),)),
    )
    assert vm.port.policing == Policing(64, in_force=False)
    patch, local = bridge.port_named("to-rtr"), bridge.port_named("br-int")
    assert patch is not None
    assert local is not None
    assert local.ofport == OFPP_LOCAL
    peer = topology.patch_peer(bridge.id, patch)
    assert peer is not None
    assert (peer[0].id.name, peer[0].role) == ("br-rtr", BridgeRole.VROUTER)
    assert [port.name for _, port in topology.tunnel_bridges("compute1")] == ["vx0"]
    phy = topology.bridge(BridgeId("compute1", "br-phy"))
    assert phy is not None
    assert phy.role is BridgeRole.UNDERLAY


def test_a_port_that_vswitchd_cannot_add_carries_the_reason(ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    ovs.run("ovs-vsctl", "--timeout=5", "add-port", "br0", "gone", check=False)
    (bridge,) = read_inventory([ovs.ovsdb], TIMEOUT).topology.bridges
    port = bridge.port_named("gone")
    assert port is not None
    assert port.error is not None
    assert "gone" in port.error
    assert port.ofport == -1


def test_a_bridge_vswitchd_never_saw_has_no_datapath_id(ovs: OvsInstance) -> None:
    ovs.kill("ovs-vswitchd")
    ovs.run("ovs-vsctl", "--no-wait", "add-br", "br0")
    (bridge,) = read_inventory([ovs.ovsdb], TIMEOUT).topology.bridges
    assert bridge.dpid is None
    assert bridge.ports[0].error is not None


def test_tls_reads_the_same_topology(ovs: OvsInstance, tls: TlsFiles, tls_server: str) -> None:
    build_server(ovs, "compute1", "192.0.2.1")
    by_socket = read_inventory([ovs.ovsdb], TIMEOUT).topology
    by_tls = read_inventory([tls_server], TIMEOUT, tls).topology
    assert [(bridge.id, bridge.ports) for bridge in by_tls.bridges] == [
        (bridge.id, bridge.ports) for bridge in by_socket.bridges
    ]


def test_tls_without_our_certificate_names_the_remedy(tls_server: str, tmp_path: Path, tls: TlsFiles) -> None:
    with pytest.raises(OvsdbError, match="needs a private key, a certificate and a CA"):
        read_inventory([tls_server], TIMEOUT)
    stranger = make_certificate(tmp_path, "stranger")
    with pytest.raises(OvsdbError, match="check that a pssl: manager listens there, and the key"):
        read_inventory([tls_server], TIMEOUT, stranger)
    missing = TlsFiles(tmp_path / "none.pem", tls.certificate, tls.ca_certificate)
    with pytest.raises(OvsdbError, match="cannot load the TLS key"):
        read_inventory([tls_server], TIMEOUT, missing)


def test_a_host_name_is_looked_up(ovs: OvsInstance) -> None:
    port = listen_on_tcp(ovs).rpartition(":")[2]
    assert read_inventory([f"tcp:localhost:{port}"], TIMEOUT).topology.nodes


def test_a_server_that_does_not_answer_is_a_problem_when_another_does(ovs: OvsInstance) -> None:
    inventory = read_inventory([ovs.ovsdb, "unix:/nonexistent/db.sock"], TIMEOUT)
    assert len(inventory.topology.nodes) == 1
    (problem,) = inventory.problems
    assert problem.startswith("unix:/nonexistent/db.sock: ")
    assert "no such socket; check the path" in problem


def test_one_server_by_two_connections_counts_once(ovs: OvsInstance) -> None:
    remote = listen_on_tcp(ovs)
    inventory = read_inventory([ovs.ovsdb, remote, ovs.ovsdb], TIMEOUT)
    assert len(inventory.topology.nodes) == 1
    assert inventory.problems == (f"{remote} is the same server as {ovs.ovsdb}; name it once",)


@pytest.mark.parametrize(
    ("connection", "remedy"),
    [
        ("unix:/nonexistent/db.sock", "no such socket"),
        ("tcp:127.0.0.1:1", "Connection refused"),
        ("tcp:host.invalid:6640", "check the host name"),
        ("db.sock", "write unix:/path/db.sock"),
        ("ptcp:6640", "write unix:/path/db.sock"),
        ("tcp:127.0.0.1", "write unix:/path/db.sock"),
    ],
)
def test_a_connection_that_cannot_work_says_why(connection: str, remedy: str) -> None:
    with pytest.raises(OvsdbError, match=remedy) as caught:
        read_inventory([connection], TIMEOUT)
    assert connection in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_connection_at_all_is_refused() -> None:
    with pytest.raises(OvsdbError, match="no OVSDB server named"):
        read_inventory([], TIMEOUT)


def test_an_openflow_socket_is_not_mistaken_for_an_ovsdb(ovs: OvsInstance) -> None:
    ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
    with pytest.raises(OvsdbError, match="is not an OVSDB server"):
        read_inventory([f"unix:{ovs.management_socket('br0')}"], TIMEOUT)


def test_an_ovsdb_of_another_kind_is_named(ovs: OvsInstance, tmp_path: Path) -> None:
    schema = tmp_path / "other.ovsschema"
    schema.write_text('{"name": "Other", "version": "1.0.0", "tables": {}}')
    ovs.run("ovsdb-tool", "create", str(tmp_path / "other.db"), str(schema))
    place = ovs.directory / "other"
    daemon = ["--detach", "--no-chdir", f"--pidfile={place}.pid", f"--log-file={place}.log", f"--unixctl={place}.ctl"]
    ovs.run("ovsdb-server", str(tmp_path / "other.db"), f"--remote=punix:{place}.sock", *daemon)
    ovs.pids["other"] = int(Path(f"{place}.pid").read_text())
    with pytest.raises(OvsdbError, match=r"unknown database.*check that this is the ovsdb-server of ovs-vswitchd"):
        read_inventory([f"unix:{place}.sock"], TIMEOUT)
    ovs.kill("other", signal.SIGTERM)


def test_a_server_that_says_nothing_times_out_as_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(OvsdbError, match="no answer in time"):
            read_inventory([f"tcp:127.0.0.1:{silent.getsockname()[1]}"], 0.1)
        assert time.monotonic() - started < TIMEOUT


HELLO_13 = bytes((4, 0, 0, 8, 0, 0, 0, 1))


def test_a_bridge_says_who_runs_it_and_whether_they_are_connected(ovs: OvsInstance) -> None:
    def bridge() -> Bridge:
        (found,) = read_inventory([ovs.ovsdb], TIMEOUT).topology.bridges
        return found

    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, bridge()

    with socket.create_server(("127.0.0.1", 0)) as controller:
        target = f"tcp:127.0.0.1:{controller.getsockname()[1]}"
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "protocols=OpenFlow13")
        assert bridge().controllers == ()
        before = time.time()
        ovs.vsctl("set-controller", "br0", target)
        connection, _ = controller.accept()
        with connection:
            connection.sendall(HELLO_13)
            until(lambda: [(one.target, one.connected) for one in bridge().controllers] == [(target, True)])
            (there,) = bridge().controllers
            assert there.role == "other"
            assert there.since is not None
            assert before - 2 <= there.since <= time.time(), "whole seconds"
    until(lambda: not bridge().controllers[0].connected)
    (gone,) = bridge().controllers
    assert gone.since is not None
    assert gone.since >= there.since


def test_a_server_that_hangs_up_is_an_error() -> None:
    def hang_up(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(1)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        with pytest.raises(OvsdbError, match="cannot talk to this OVSDB server"):
            read_inventory([f"tcp:127.0.0.1:{server.getsockname()[1]}"], TIMEOUT)
        thread.join()


@pytest.fixture
def closed_socket(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "db.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        yield f"unix:{path}"


@pytest.fixture
def plain_user(closed_socket: str) -> Iterator[None]:
    """Root may open everything, so give root up once the socket is there."""
    assert closed_socket
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    if user == 0:
        os.seteuid(user)


@pytest.mark.usefixtures("plain_user")
def test_a_socket_we_may_not_open_says_so(closed_socket: str) -> None:
    with pytest.raises(OvsdbError, match="permission denied; run as root, or join the group"):
        read_inventory([closed_socket], TIMEOUT)
