"""Turns two VMs of an OVN lab into a ping between them, and into the filter that traces it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import OvnVm

CONNECT = """
import signal, socket, sys
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
while True:
    with socket.socket() as end:
        end.settimeout(1)
        end.connect_ex((sys.argv[1], int(sys.argv[2])))
    signal.pause()
"""

SEND = """
import signal, socket, sys
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
with socket.socket(type=socket.SOCK_DGRAM) as end:
    while True:
        end.sendto(b"anyone?", (sys.argv[1], int(sys.argv[2])))
        signal.pause()
"""


@contextmanager
def pinging(ovn: OvnLab, sender: OvnVm, address: str, *options: str) -> Iterator[None]:
    """Twenty echo requests a second, until the block ends."""
    command = [*ovn.hosts[sender.name].prefix, "ping", "-n", "-i", "0.05", *options, address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ping:
        try:
            yield
        finally:
            ping.terminate()


def icmp(sender: OvnVm, receiver: OvnVm) -> str:
    """The filter of such a ping."""
    return f"icmp,nw_src={sender.address},nw_dst={receiver.address}"


@contextmanager
def connecting(ovn: OvnLab, sender: OvnVm, address: str, port: int) -> Iterator[None]:
    """Twenty connections a second, answered or refused, until the block ends."""
    with _client(ovn, sender, CONNECT, address, port):
        yield


@contextmanager
def sending(ovn: OvnLab, sender: OvnVm, address: str, port: int) -> Iterator[None]:
    """Twenty datagrams a second, whoever takes them, until the block ends."""
    with _client(ovn, sender, SEND, address, port):
        yield


@contextmanager
def _client(ovn: OvnLab, sender: OvnVm, program: str, address: str, port: int) -> Iterator[None]:
    command = [*ovn.hosts[sender.name].prefix, sys.executable, "-c", program, address, str(port)]
    with subprocess.Popen(command) as client:
        try:
            yield
        finally:
            client.terminate()
