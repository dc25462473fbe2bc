"""A flood of the traced traffic: the data plane caps what reaches us, and nobody else's trace or traffic suffers."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from vtrace_program import DEADLINE, Vtrace, pauses, sending

from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.lab.network import VM_INTERFACE, Lab
from vtrace_ovs.model.verdict import CauseCode, Disposition

FLOOD_PORT = 5001
FLOODED = f"udp,nw_src=10.0.1.12,tp_dst={FLOOD_PORT}"
QUIET = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5000"
TRACE_TIME = 6
CROWD, CALM = 100, 10
VFDS = 6
BURST = 1000
FLOODER = (
    "import socket,sys,time\n"
    "end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
    "end.bind((sys.argv[1], 0))\n"
    "frames = [bytes.fromhex(frame) for frame in sys.argv[2:]]\n"
    "print(flush=True)\n"
    "while True:\n"
    "    for frame in frames[:50]: end.send(frame)\n"
    "    frames = frames[50:] + frames[:50]\n"
    "    time.sleep(0.01)\n"
)

pytestmark = pytest.mark.usefixtures("unchanged")


@contextmanager
def flood(lab: Lab) -> Iterator[None]:
    """Up to 5,000 packets a second from blue-web2, the other VM of the server, until the block ends."""
    vm = lab.base.vm("blue-web2")
    ether = Ether(src=vm.mac, dst=lab.base.subnet_of(vm).gateway_mac)
    frames = [
        bytes(ether / IP(src="10.0.1.12", dst="10.0.2.22", id=number) / UDP(sport=4000, dport=FLOOD_PORT) / b"flood")
        for number in range(1, BURST + 1)
    ]
    command = [*lab.vm("blue-web2").prefix, sys.executable, "-c", FLOODER, VM_INTERFACE]
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


def await_end(program: Vtrace, *tasks: int) -> None:
    """The switch is busy with the flood, so arming and ending take their time."""
    with program.store() as store:
        deadline = time.monotonic() + 3 * DEADLINE
        for now in pauses(0.1):
            if not store.unfinished() or now > deadline:
                break
        assert not store.unfinished(), [store.task(number) for number in tasks]


def test_a_flood_that_matches_costs_few_copies_and_nobody_else_a_packet(lab: Lab, program: Vtrace) -> None:
    with flood(lab), sending(lab, rate=40.0), program.controller() as controller:
        before, began = received(lab), time.monotonic()
        flooded = program.add(FLOODED, CROWD, TRACE_TIME, source_vm="blue-web2")
        quiet = program.add(QUIET, CALM, 25, source_vm="blue-web1")
        await_end(program, flooded, quiet)
        crowd, calm = program.result(flooded), program.result(quiet)
        sent, seconds = received(lab) - before, time.monotonic() - began
        assert controller.poll() is None
    fates = {group.verdict.disposition for group in calm.groups}
    assert fates <= {Disposition.DELIVERED, Disposition.INCONCLUSIVE}, calm.verdict
    assert Disposition.DELIVERED in fates
    losses = {group.verdict.code for group in crowd.groups if group.verdict.disposition.is_loss}
    assert losses == {CauseCode.SECURITY_DEFAULT_DENY}
    copies = sum(cost.copies for cost in crowd.costs)
    settings = Settings(controller_id=0, generation=0)
    burst = (CROWD + CALM) * settings.copies_per_packet + settings.spare_copies
    assert copies <= VFDS * (burst + settings.log_rate * seconds)
    assert sent > copies
