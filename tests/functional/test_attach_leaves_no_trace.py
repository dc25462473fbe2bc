"""D1: production controllers, flows, groups, meters and hidden flows do not notice that we attach and detach."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vtrace_ovs.codecs.framing import MessageType, messages
from vtrace_ovs.codecs.ovsdb_rows import attach_obstacle
from vtrace_ovs.codecs.requests import barrier_request, echo_reply, get_config_request, hello, set_config
from vtrace_ovs.errors import OpenFlowError, OvsdbError
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.ovsdb.client import OvsdbClient
from vtrace_ovs.ovsdb.fingerprint import Fingerprint, difference, fingerprint
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.ovsdb.service_rows import add_service_controllers, remove_service_controllers

TIMEOUT = 60.0


class OpenFlowPeer:
    """The controller side of one OpenFlow connection, as far as these tests need it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT)
        self.connection = connection
        self.buffer = b""
        connection.sendall(hello(1))

    def wait_for(self, kind: MessageType) -> bytes:
        """The body of the next message of this kind; echo requests are answered meanwhile."""
        while True:
            found, self.buffer = messages(self.buffer)
            for position, message in enumerate(found):
                if message.type == MessageType.ECHO_REQUEST:
                    self.connection.sendall(echo_reply(message.xid, message.body))
                if message.type == kind:
                    assert position == len(found) - 1, "messages behind the awaited one would be lost"
                    return message.body
            chunk = self.connection.recv(65536)
            assert chunk, "the bridge hung up"
            self.buffer += chunk

    def configure(self) -> None:
        """What the controller does after HELLO: keep the fragment mode, ask for packet-ins, wait for the barrier."""
        self.connection.sendall(get_config_request(2))
        flags = int.from_bytes(self.wait_for(MessageType.GET_CONFIG_REPLY)[:2], "big")
        self.connection.sendall(set_config(flags, 192, 3) + barrier_request(4))
        self.wait_for(MessageType.BARRIER_REPLY)


class PrimaryController:
    """A production controller on 127.0.0.1 that accepts one bridge and answers its probes."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(TIMEOUT)
        self.target = f"tcp:127.0.0.1:{self.server.getsockname()[1]}"
        self.greeted = threading.Event()
        self.connections = 0
        self.peer: OpenFlowPeer | None = None
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError, AssertionError):
            connection, _ = self.server.accept()
            self.connections += 1
            self.peer = OpenFlowPeer(connection)
            self.peer.wait_for(MessageType.HELLO)
            self.greeted.set()
            self.peer.connection.settimeout(None)
            self.peer.wait_for(MessageType.ERROR)

    @property
    def connected(self) -> bool:
        return self.thread.is_alive()

    def close(self) -> None:
        if self.peer is not None:
            with contextlib.suppress(OSError):
                self.peer.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        if self.peer is not None:
            self.peer.connection.close()
        self.server.close()


@pytest.fixture
def primaries(request: pytest.FixtureRequest) -> Iterator[list[PrimaryController]]:
    controllers = [PrimaryController() for _ in range(request.param)]
    yield controllers
    for controller in controllers:
        controller.close()


def build_production(ovs: OvsInstance, fail_mode: str, primaries: list[PrimaryController]) -> None:
    ovs.vsctl(
        *("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", f"fail_mode={fail_mode}"),
        *("other_config:mac-table-size=77", "--", "add-port", "br0", "p1", "--", "set", "interface", "p1"),
        *("type=dummy", "--", "--id=@p", "get", "port", "p1", "--", "--id=@m", "create", "mirror", "name=m0"),
        *("select_all=true", "output_port=@p", "--", "set", "bridge", "br0", "mirrors=@m"),
    )
    if primaries:
        ovs.vsctl("set-controller", "br0", *(primary.target for primary in primaries))
        assert all(primary.greeted.wait(TIMEOUT) for primary in primaries)
    ovs.ofctl("add-group", "br0", "group_id=7,type=all,bucket=output:1")
    ovs.ofctl("add-meter", "br0", "meter=3,pktps,burst,band=type=drop,rate=10,burst_size=5")
    ovs.ofctl("add-flow", "br0", "cookie=0xa,table=2,priority=7,tcp,tp_dst=80,actions=meter:3,group:7")
    ovs.ofctl("add-flow", "br0", "priority=1,actions=resubmit(,2)")


def look(ovs: OvsInstance) -> Fingerprint:
    return fingerprint(ovs.directory, "br0", TIMEOUT)


every_production = pytest.mark.parametrize(
    ("primaries", "fail_mode"),
    [(count, mode) for count in (0, 1, 2) for mode in ("secure", "standalone")],
    indirect=["primaries"],
)


@every_production
def test_attaching_by_the_management_socket_changes_nothing(
    ovs: OvsInstance, primaries: list[PrimaryController], fail_mode: str
) -> None:
    build_production(ovs, fail_mode, primaries)
    before = look(ovs)
    assert len(before.flows) >= 2
    assert before.groups
    assert before.meters
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(ovs.management_socket("br0")))
        peer = OpenFlowPeer(connection)
        peer.wait_for(MessageType.HELLO)
        peer.configure()
        assert difference(before, look(ovs)) == ()
    assert difference(before, look(ovs)) == ()
    assert all(primary.connected for primary in primaries)


@every_production
def test_attaching_by_a_service_row_changes_nothing_but_that_row(
    ovs: OvsInstance, primaries: list[PrimaryController], fail_mode: str
) -> None:
    build_production(ovs, fail_mode, primaries)
    before = look(ovs)
    with socket.create_server(("127.0.0.1", 0)) as server, OvsdbClient(ovs.ovsdb, TIMEOUT) as client:
        server.settimeout(TIMEOUT)
        target = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        add_service_controllers(client, ["br0"], target)
        connection, _ = server.accept()
        with connection:
            peer = OpenFlowPeer(connection)
            peer.wait_for(MessageType.HELLO)
            peer.configure()
            during = look(ovs)
            assert replace(during, controllers=before.controllers) == before
            (row,) = [line for line in during.controllers if line not in before.controllers]
            assert "connection_mode=out-of-band" in row
            assert "type=service" in row
            assert f"target={target}" in row
            assert remove_service_controllers(client) == ("br0",)
            assert connection.recv(1) == b""
    assert difference(before, look(ovs)) == ()
    assert all(primary.connected for primary in primaries)


@pytest.mark.parametrize("primaries", [0], indirect=True)
def test_the_comparison_would_notice_a_primary_controller(ovs: OvsInstance, primaries: list[PrimaryController]) -> None:
    build_production(ovs, "secure", primaries)
    before = look(ovs)
    ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    changes = difference(before, look(ovs))
    sections = {change.partition(":")[0] for change in changes}
    assert sections == {"flows", "groups", "meters", "hidden_flows", "controllers"}


def test_counters_and_ages_are_no_difference(ovs: OvsInstance) -> None:
    build_production(ovs, "secure", [])
    before = look(ovs)
    ovs.appctl("netdev-dummy/receive", "p1", "in_port(1),eth(),eth_type(0x0800),ipv4(proto=6),tcp(dst=80)")
    ovs.appctl("revalidator/wait")
    assert "n_packets=1" in ovs.ofctl("dump-flows", "br0")
    assert difference(before, look(ovs)) == ()


@pytest.mark.parametrize(
    ("change", "section"),
    [
        (("set-fail-mode", "br0", "standalone"), "bridge"),
        (("set", "bridge", "br0", "other_config:mac-table-size=78"), "bridge"),
        (("clear", "bridge", "br0", "mirrors"), "mirrors"),
    ],
)
def test_the_comparison_notices_a_changed_row(ovs: OvsInstance, change: tuple[str, ...], section: str) -> None:
    build_production(ovs, "secure", [])
    before = look(ovs)
    ovs.vsctl(*change)
    assert any(line.startswith(f"{section}: ") for line in difference(before, look(ovs)))


def test_a_bridge_without_openflow_13_refuses_the_management_socket_too(ovs: OvsInstance) -> None:
    build_production(ovs, "secure", [])
    ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow10")
    topology = read_inventory([ovs.ovsdb], TIMEOUT).topology
    (bridge,) = topology.bridges
    obstacle = attach_obstacle(topology, bridge)
    assert obstacle is not None
    assert obstacle.endswith("protocols OpenFlow13")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(ovs.management_socket("br0")))
        OpenFlowPeer(connection).wait_for(MessageType.ERROR)


def test_a_service_row_outlives_whoever_wrote_it_and_is_found_by_its_owner(ovs: OvsInstance) -> None:
    build_production(ovs, "secure", [])
    before = look(ovs)
    with OvsdbClient(ovs.ovsdb, TIMEOUT) as crashed:
        add_service_controllers(crashed, ["br0"], "tcp:127.0.0.1:1")
    assert len(look(ovs).controllers) == 1
    with OvsdbClient(ovs.ovsdb, TIMEOUT) as cleaner:
        assert remove_service_controllers(cleaner) == ("br0",)
    assert difference(before, look(ovs)) == ()


def test_a_fingerprint_of_a_bridge_that_is_gone_says_so(ovs: OvsInstance) -> None:
    with pytest.raises(OvsdbError, match="no bridge 'br9'"):
        fingerprint(ovs.directory, "br9", TIMEOUT)


def test_a_fingerprint_without_vswitchd_says_what_to_check(ovs: OvsInstance) -> None:
    build_production(ovs, "secure", [])
    ovs.kill("ovs-vswitchd")
    with pytest.raises(OpenFlowError, match="dump-flows unix:"):
        look(ovs)
