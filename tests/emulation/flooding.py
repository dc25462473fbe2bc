"""Turns a VM of the lab into the sender of a flood."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.wiring import VM_INTERFACE

FLOOD_PORT = 5001
FLOODED = f"udp,nw_src=10.0.1.12,tp_dst={FLOOD_PORT}"
FLOODER = (
    "import signal,socket,sys\n"
    "end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
    "end.bind((sys.argv[1], 0))\n"
    "pause, frames = float(sys.argv[2]), [bytes.fromhex(frame) for frame in sys.argv[3:]]\n"
    "signal.signal(signal.SIGALRM, lambda *_: None)\n"
    "signal.setitimer(signal.ITIMER_REAL, pause, pause)\n"
    "print(flush=True)\n"
    "while True:\n"
    "    for frame in frames[:50]: end.send(frame)\n"
    "    frames = frames[50:] + frames[:50]\n"
    "    if pause: signal.pause()\n"
)


@contextmanager
def flood(lab: Lab, identities: Iterable[int], pause: float) -> Iterator[None]:
    """Packets from blue-web2, the other VM of the server, with these IP IDs in turn until the block ends.

    The sender sends 50 of them each so many seconds, or as fast as it can when ``pause`` is 0.
    """
    vm = lab.base.vm("blue-web2")
    ether = Ether(src=vm.mac, dst=lab.base.subnet_of(vm).gateway_mac)
    frames = [
        bytes(ether / IP(src="10.0.1.12", dst="10.0.2.22", id=number) / UDP(sport=4000, dport=FLOOD_PORT) / b"flood")
        for number in identities
    ]
    command = [*lab.vm("blue-web2").prefix, sys.executable, "-c", FLOODER, VM_INTERFACE, str(pause)]
    with subprocess.Popen([*command, *(frame.hex() for frame in frames)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def received(lab: Lab) -> int:
    """What cs1 has taken in from blue-web2 so far (packets)."""
    ports = lab.ovs("cs1").ofctl("dump-ports", str(lab.ovs("cs1").management_socket("br-int")))
    return sum(int(line.split("rx pkts=")[1].split(",")[0]) for line in ports.splitlines() if "rx pkts=" in line)
