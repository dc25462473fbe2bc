"""What the topology permits passes; what it forbids does not."""

import importlib
import subprocess
import sys

import pytest

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficReport, TrafficRequest

SAME_SERVER = ("blue-web1", "blue-web2")
SAME_SUBNET = ("blue-web1", "blue-web3")
BETWEEN_SUBNETS = ("blue-web1", "blue-db2")
BETWEEN_SUBNETS_ONE_SWITCH = ("blue-web1", "blue-db1")
OTHER_TENANT = ("red-db2", "red-web1")
PAIRS = (SAME_SERVER, SAME_SUBNET, BETWEEN_SUBNETS, BETWEEN_SUBNETS_ONE_SWITCH, OTHER_TENANT)
FORBIDDEN = (
    (*SAME_SERVER, TrafficProtocol.TCP, 23),
    (*BETWEEN_SUBNETS, TrafficProtocol.TCP, 22),
    (*BETWEEN_SUBNETS, TrafficProtocol.TCP, 8080),
    (*BETWEEN_SUBNETS, TrafficProtocol.TCP, 25),
    (*SAME_SUBNET, TrafficProtocol.UDP, 5001),
    (*OTHER_TENANT, TrafficProtocol.TCP, 5432),
)

RECEIVER = """
import socket
server = socket.create_server(("", 443))
print("up", flush=True)
connection, _ = server.accept()
size = 0
while part := connection.recv(65536):
    size += len(part)
print(size)
"""


def send(lab: Lab, pair: tuple[str, str], protocol: TrafficProtocol, port: int | None, dscp: int = 0) -> TrafficReport:
    return lab.traffic.run(TrafficRequest(*pair, protocol, port, rate=200, count=5, dscp=dscp, timeout=3))


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
@pytest.mark.parametrize(
    ("protocol", "port"),
    [
        (TrafficProtocol.ICMP, None),
        (TrafficProtocol.TCP, 443),
        (TrafficProtocol.TCP_STREAM, 443),
        (TrafficProtocol.UDP, 5000),
    ],
)
def test_permitted_traffic_is_answered(
    lab: Lab, pair: tuple[str, str], protocol: TrafficProtocol, port: int | None
) -> None:
    report = send(lab, pair, protocol, port, dscp=10)
    assert (report.sent, report.replies) == (5, 5)
    assert report.dscps == (10,)


@pytest.mark.parametrize(("source", "destination", "protocol", "port"), FORBIDDEN)
def test_forbidden_traffic_never_reaches_the_destination(
    lab: Lab, source: str, destination: str, protocol: TrafficProtocol, port: int
) -> None:
    report = lab.traffic.run(TrafficRequest(source, destination, protocol, port, rate=200, count=3, timeout=0.5))
    assert (report.sent, report.replies, report.received) == (3, 0, 0)


def test_a_closed_port_of_a_permitted_service_is_reached_and_refused(lab: Lab) -> None:
    request = TrafficRequest(*BETWEEN_SUBNETS, TrafficProtocol.TCP, 443, count=3, rate=200, timeout=3, listen=False)
    report = lab.traffic.run(request)
    assert (report.replies, report.received) == (0, None)


def test_tenants_with_equal_addresses_do_not_reach_each_other(lab: Lab) -> None:
    """red-db1 has the address of blue-db1: the blue sender's packets must arrive at the blue one only."""
    assert lab.address("blue-db1") == lab.address("red-db1")
    report = send(lab, ("blue-web1", "blue-db1"), TrafficProtocol.TCP, 443)
    stray = lab.traffic.start(TrafficRequest("red-web1", "red-db1", TrafficProtocol.TCP, 5432, count=0, timeout=0.5))
    permitted_to_blue_only = send(lab, ("blue-web1", "blue-db1"), TrafficProtocol.TCP, 5432)
    assert report.replies == permitted_to_blue_only.replies == 5
    # The listener in red-db1 counts packets from the address that blue-web1 and red-web1 share.
    assert lab.traffic.stop(stray).received == 0


def test_a_spoofed_source_address_is_dropped_in_the_anti_spoofing_table(lab: Lab) -> None:
    layers = importlib.import_module("scapy.all")
    source, destination = lab.base.vm("blue-web1"), lab.base.vm("blue-web2")
    frame = (
        layers.Ether(src=source.mac, dst=destination.mac)
        / layers.IP(src="10.0.1.99", dst=str(destination.address))
        / layers.ICMP()
    )
    before = dropped_as_spoofed(lab)
    lab.send_frames("blue-web1", [bytes(frame)] * 3)
    assert dropped_as_spoofed(lab) - before == 3


def dropped_as_spoofed(lab: Lab) -> int:
    """Packets at the anti-spoofing default of cs1; the datapath is asked for its counts first."""
    ovs = lab.ovs("cs1")
    ovs.appctl("revalidator/wait")
    flows = ovs.ofctl("dump-flows", str(ovs.management_socket("br-int")), "table=10,cookie=0x1ab0020000000000/-1")
    return int(flows.partition("n_packets=")[2].partition(",")[0])


def test_large_tcp_messages_cross_the_tunnel_whole(lab: Lab) -> None:
    """Offloads are off and the MTU leaves room for VXLAN: a megabyte arrives, whatever its segments."""
    size = 1_000_000
    sender = f"import socket\nsocket.create_connection(('{lab.address('blue-db2')}', 443)).sendall(bytes({size}))"
    node = lab.vm("blue-db2")
    with subprocess.Popen(
        [*node.prefix, sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "up\n"
        assert lab.execute("blue-web1", sys.executable, "-c", sender).returncode == 0
        assert listening.stdout.readline() == f"{size}\n"
