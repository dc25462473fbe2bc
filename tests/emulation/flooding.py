"""Turns a VM of the lab into the sender of a flood, and an interface's counter into packets that came."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import blast
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from vtrace_ovs.lab.namespaces import Namespace
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.verdict import CauseCode

FLOODER = "blue-web2"
DEADLINE = 60.0


@dataclass(frozen=True)
class Flood:
    """What blue-web2, the other VM of the neighbour's server, sends: so many packets a second, IP IDs in turn.

    ``code`` is why none of them arrives.
    """

    filter: str
    transport: Packet
    code: CauseCode
    rate: float
    identities: Sequence[int] = range(1, 1001)

    @contextmanager
    def running(self, lab: Lab) -> Iterator[None]:
        """It is sent until the block ends."""
        packets = (
            IP(src="10.0.1.12", dst="10.0.2.22", id=number) / self.transport / b"flood" for number in self.identities
        )
        with blasting(lab, FLOODER, self.rate, packets):
            yield


FAST = 150_000.0
FAR = Flood("udp,nw_src=10.0.1.12,tp_dst=5001", UDP(sport=4000, dport=5001), CauseCode.SECURITY_DEFAULT_DENY, 2500.0)
"""Denied at the destination: switches on all the way have it, and carry it."""
FAR_FAST = replace(FAR, rate=FAST, identities=[0])
NEAR_FAST = Flood("tcp,nw_src=10.0.1.12,tp_dst=25", TCP(sport=4000, dport=25), CauseCode.SECURITY_RULE_DENY, FAST)
"""Denied at its own server, by an egress rule."""


@contextmanager
def blasting(lab: Lab, vm: str, rate: float, packets: Iterable[Packet], *, numbered: bool = False) -> Iterator[None]:
    """These packets in turn, from the VM to its gateway, until the block ends; ``numbered`` as in blast.py."""
    sender = lab.base.vm(vm)
    link = Ether(src=sender.mac, dst=lab.base.subnet_of(sender).gateway_mac)
    likeness, frames = "numbered" if numbered else "alike", [bytes(link / packet).hex() for packet in packets]
    with subprocess.Popen(
        [*lab.vm(vm).prefix, sys.executable, blast.__file__, VM_INTERFACE, str(rate), likeness, *frames],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.communicate(timeout=DEADLINE)


def flooded(lab: Lab) -> int:
    """Packets that blue-web2 has sent to its port of the first VFD so far, whether that took them or not."""
    return received(lab.servers["cs1"].namespace, FLOODER)


def received(node: Namespace, interface: str) -> int:
    """Packets this interface of the node has received so far, as its kernel counts them."""
    return counted(node, interface)[1]


def sent(node: Namespace, interface: str) -> int:
    """Packets this interface of the node has sent so far, as its kernel counts them."""
    return counted(node, interface)[9]


def counted(node: Namespace, interface: str) -> list[int]:
    """What a kernel counts of an interface (proc(5), /proc/net/dev)."""
    table = Path(f"/proc/{node.pid}/net/dev").read_text(encoding="ascii")
    (line,) = (line for line in table.splitlines() if line.strip().startswith(f"{interface}:"))
    return [int(number) for number in line.partition(":")[2].split()]
