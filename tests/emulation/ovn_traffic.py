"""Turns two VMs of an OVN lab into a ping between them, and into the filter that traces it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from vtrace_ovs.lab.ovn import OvnLab
from vtrace_ovs.lab.ovn_network import OvnVm


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
