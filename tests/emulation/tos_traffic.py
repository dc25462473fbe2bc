"""Turns TOS bytes into UDP between two VMs of a lab, and into counts of what was sent, on the wire and received."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import tos_endpoint
from vtrace_program import UDP

from vtrace_ovs.lab.namespaces import Namespace
from vtrace_ovs.lab.network import VM_INTERFACE, Lab
from vtrace_ovs.lab.wiring import UPLINK

RATE = 300
PORT = UDP.rpartition("=")[2]
DEADLINE = 20.0


@dataclass
class Traffic:
    """How many packets had which TOS byte: sent, on the wire from the first server, and at the destination."""

    sent: Counter[int] = field(default_factory=Counter)
    on_the_wire: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)

    @property
    def marks(self) -> set[int]:
        """The DSCPs on the wire that nobody sent."""
        return {tos >> 2 for tos in self.on_the_wire} - {tos >> 2 for tos in self.sent}


@contextmanager
def sending_tos(lab: Lab, *values: int, rate: int = RATE) -> Iterator[Traffic]:
    """UDP of one five-tuple whose packets have these TOS bytes in turn; counted when the block has ended."""
    traffic = Traffic()
    wire = _start(lab.servers["cs1"].namespace, "watch", UPLINK, PORT)
    witness = _start(lab.vm("blue-db2"), "watch", VM_INTERFACE, PORT)
    sender = _start(lab.vm("blue-web1"), "send", "10.0.2.22", PORT, str(rate), ",".join(map(str, values)))
    try:
        yield traffic
    finally:
        for process, counter in ((sender, traffic.sent), (wire, traffic.on_the_wire), (witness, traffic.received)):
            counter.update(_counts(process))


def _start(node: Namespace, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*node.prefix, sys.executable, tos_endpoint.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _counts(process: subprocess.Popen[str]) -> Counter[int]:
    out, _ = process.communicate(timeout=DEADLINE)
    return Counter({int(tos): packets for tos, packets in json.loads(out).items()})
