"""Holds the walker against real packets through a real ovs-vswitchd, where ``ofproto/trace`` itself cannot follow.

Trace stops at the recirculation behind a select group and behind ``pop_mpls``: there the counters of the ports judge.
"""

import re
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from walker_judge import LENGTH, PORTS, Judge, Packet, answer_of, judging, walked
from walker_pipelines import IP, TCP, apply, flow, match

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.oxm import SubField, field

DEADLINE = 60.0
PIPELINES: dict[str, list[Flow]] = {
    "a select group with one live bucket has no choice": [
        flow(0, 1, match(**IP), apply(act.Group(6), act.Output(4))),
    ],
    "under a popped label the packet is what it was": [
        flow(0, 1, match(**IP), apply(act.PushMpls(0x8847), act.SetField(field("mpls_label"), 5, 0xFFFFF)),
             act.GotoTable(1)),
        flow(1, 1, match(eth_type=0x8847, mpls_label=5), apply(
            act.Output(2), act.PopMpls(0x0800), act.Resubmit(None, 2))),
        flow(2, 2, match(**TCP, ipv4_dst=0x0A000002, tcp_dst=2), apply(act.Output(3))),
        flow(2, 1, match(), apply(act.Output(4))),
    ],
    "a packet longer than the limit takes the branch for large packets": [
        flow(0, 1, match(**IP), apply(
            act.CheckPacketLarger(100, SubField(field("reg0"), 0, 1)), act.Resubmit(None, 1))),
        flow(1, 2, match(reg0=1), apply(act.Output(2))),
        flow(1, 1, match(), apply(act.Output(3))),
    ],
    "a flood reaches every other port": [flow(0, 1, match(**IP), apply(act.Output(act.OFPP_FLOOD)))],
}  # fmt: skip


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with judging(tmp_path_factory.mktemp("judge") / "ovs") as found:
        yield found


def frame(packet: Packet) -> bytes:
    """The packet on the wire: TCP without flags, LENGTH bytes in all."""
    link = packet.eth_dst.to_bytes(6) + bytes.fromhex("000000000001 0800")
    addresses = IPv4Address(packet.source).packed + IPv4Address(packet.destination).packed
    network = struct.pack("!BxH4xBB2x", 0x45, LENGTH - len(link), packet.ttl, packet.protocol) + addresses
    transport = struct.pack("!HH8xB7x", packet.source_port, packet.destination_port, 0x50)
    return (link + network + transport).ljust(LENGTH, b"\0")


def sent(judge: Judge) -> dict[int, int]:
    """Packets each port has sent."""
    text = judge.ovs.ofctl("dump-ports", "br0")
    return {int(port): int(packets) for port, packets in re.findall(r"port +(\d+):.*\n +tx pkts=(\d+)", text)}


def leaving(judge: Judge, packet: Packet, expected: int) -> list[int]:
    """The ports a packet leaves by; waits until so many have sent it."""
    before = sent(judge)
    judge.ovs.appctl("netdev-dummy/receive", f"p{packet.in_port}", frame(packet).hex())
    deadline = time.monotonic() + DEADLINE
    while True:
        now = sent(judge)
        ports = [port for port in PORTS for _ in range(now[port] - before[port])]
        if len(ports) >= expected or time.monotonic() > deadline:
            return ports


@pytest.mark.parametrize("name", PIPELINES)
def test_real_packets_go_where_the_walker_says_that(judge: Judge, name: str) -> None:
    view = judge.install(PIPELINES[name])
    packet = Packet()
    expected = [port for port in answer_of(walked(view, packet)).outputs if port in PORTS]
    assert expected
    assert leaving(judge, packet, len(expected)) == sorted(expected)
