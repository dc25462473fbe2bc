"""Turns TOS bytes into UDP between two VMs of a lab, and into counts of what was sent, on the wire and received."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import tos_endpoint
from vtrace_program import UDP

from vtrace_ovs.lab.namespaces import Namespace
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.wiring import UPLINK, VM_INTERFACE

RATE = 300
PORT = UDP.rpartition("=")[2]
DEADLINE = 60.0
SENDER, RECEIVER = "blue-web1", "blue-db2"


@dataclass
class Traffic:
    """How many packets had which TOS byte: sent, on the first server's wire, received, and ``astray`` at others."""

    sent: Counter[int] = field(default_factory=Counter)
    on_the_wire: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)
    astray: Counter[int] = field(default_factory=Counter)

    @property
    def marks(self) -> set[int]:
        """The DSCPs on the wire that nobody sent."""
        return {tos >> 2 for tos in self.on_the_wire} - {tos >> 2 for tos in self.sent}


@contextmanager
def sending_tos(lab: Lab, *values: int, rate: int = RATE, everywhere: bool = False) -> Iterator[Traffic]:
    """UDP of one five-tuple whose packets have these TOS bytes in turn; counted when the block has ended.

    ``everywhere`` watches all VMs and not only the destination.
    """
    others = [lab.vm(vm) for vm in lab.vms if vm not in {SENDER, RECEIVER}] if everywhere else []
    ends = Ends(lab.vm(SENDER), lab.vm(RECEIVER), "10.0.2.22", (lab.servers["cs1"].namespace, UPLINK), others)
    with sending_tos_between(ends, *values, rate=rate) as traffic:
        yield traffic


@dataclass(frozen=True)
class Ends:
    """Where traffic comes from and goes to, the wire (namespace, interface) to listen on, and who must not get any."""

    sender: Namespace
    receiver: Namespace
    address: str
    wire: tuple[Namespace, str]
    others: Sequence[Namespace] = ()


@contextmanager
def sending_tos_between(ends: Ends, *values: int, rate: int = RATE) -> Iterator[Traffic]:
    """The same between any two hosts whose interface is called as the lab's VMs call theirs."""
    traffic = Traffic()
    watchers = [
        (_start(ends.wire[0], "watch", ends.wire[1], PORT), traffic.on_the_wire),
        (_start(ends.receiver, "watch", VM_INTERFACE, PORT), traffic.received),
        *((_start(other, "watch", VM_INTERFACE, PORT), traffic.astray) for other in ends.others),
    ]
    for watcher, _ in watchers:
        _await_ready(watcher)
    sender = _start(ends.sender, "send", ends.address, PORT, str(rate), ",".join(map(str, values)))
    _await_ready(sender)
    try:
        yield traffic
    finally:
        traffic.sent.update(_counts(sender))
        for watcher, _ in watchers:
            _tell_to_stop(watcher)
        for watcher, counter in watchers:
            counter.update(_counts(watcher))


def _start(node: Namespace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*node.prefix, sys.executable, tos_endpoint.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _await_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def _tell_to_stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None  # communicate() would flush it


def _counts(process: subprocess.Popen[str]) -> Counter[int]:
    out, _ = process.communicate(timeout=DEADLINE)
    return Counter({int(tos): packets for tos, packets in json.loads(out).items()})
