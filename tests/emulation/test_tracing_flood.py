"""A flood of the traced traffic: the data plane caps what reaches us, and nobody else's trace or traffic suffers."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from vtrace_program import DEADLINE, FrameSender, Vtrace, captured, pauses, repeating

from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.lab.network import VM_INTERFACE, Lab
from vtrace_ovs.model.trajectory import Ending, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult
from vtrace_ovs.session.collecting import MOST_ALIKE, place_of

FLOOD_PORT = 5001
FLOODED = f"udp,nw_src=10.0.1.12,tp_dst={FLOOD_PORT}"
QUIET = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5000"
TRACE_TIME = 6
CROWD, CALM = 100, 10
TOS = 0x28
VFDS = 6
BURST = 1000
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

pytestmark = pytest.mark.usefixtures("unchanged")


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


def await_end(program: Vtrace, *tasks: int) -> None:
    """The switch is busy with the flood, so arming and ending take their time."""
    with program.store() as store:
        deadline = time.monotonic() + 2 * DEADLINE
        for now in pauses(0.1):
            if not store.unfinished() or now > deadline:
                break
        assert not store.unfinished(), [store.task(number) for number in tasks]


@contextmanager
def quiet_neighbour(lab: Lab) -> Iterator[None]:
    """Forty packets a second from blue-web1, each with an IP ID of its own, until the block ends."""
    with FrameSender(lab, "blue-web1") as sender:

        def send(number: int) -> None:
            packet = IP(src="10.0.1.11", dst="10.0.2.22", id=number, tos=TOS) / UDP(sport=4000, dport=5000) / b"quiet"
            sender.send(packet)

        with repeating(send, 0.025):
            yield


@pytest.mark.parametrize(
    ("identities", "pause"), [(range(1, BURST + 1), 0.01), ([0] * 50, 0.0)], ids=["many", "equal-and-fast"]
)
def test_a_flood_that_matches_costs_few_copies_and_nobody_else_a_true_verdict(
    lab: Lab,
    program: Vtrace,
    record_property: Callable[[str, object], None],
    identities: Iterable[int],
    pause: float,
) -> None:
    """What the neighbour receives is the judge: a switch that is flooded may well lose its packets itself."""
    with captured(lab, "blue-db2") as frames, quiet_neighbour(lab):
        with flood(lab, identities, pause), program.controller() as controller:
            before, began = received(lab), time.monotonic()
            flooded = program.add(FLOODED, CROWD, TRACE_TIME, source_vm="blue-web2")
            quiet = program.add(QUIET, CALM, 25, source_vm="blue-web1")
            await_end(program, flooded, quiet)
            crowd, calm = program.result(flooded), program.result(quiet)
            sent, seconds = received(lab) - before, time.monotonic() - began
            assert controller.poll() is None
        with program.store() as store:
            ways = [way for way in store.trajectories(quiet) if way.origin is Origin.OBSERVED]
            joined = max(Counter((one.packet_id, place_of(one)) for one in store.records(flooded)).values())
    rate = f"{sent / seconds:.0f} packets/s of the flood came into the first switch"
    record_property("flood", rate)
    print(rate)  # noqa: T201 - what the sender reached, beside what then went wrong
    assert joined <= MOST_ALIKE
    packets = [Ether(frame)[IP] for frame in frames if IP in Ether(frame)]
    arrived = {packet.id: packet.tos for packet in packets if packet.src == "10.0.1.11"}
    assert set(arrived.values()) == {TOS}, "what arrives has the DSCP it was sent with"
    _is_true(calm, {way.packet_id: way for way in ways}, set(arrived))
    losses = {group.verdict.code for group in crowd.groups if group.verdict.disposition.is_loss}
    assert losses <= {CauseCode.SECURITY_DEFAULT_DENY}
    assert not any(group.verdict.disposition is Disposition.DELIVERED for group in crowd.groups)
    copies = sum(cost.copies for cost in crowd.costs)
    settings = Settings(controller_id=0, generation=0)
    burst = (CROWD + CALM) * settings.copies_per_packet + settings.spare_copies
    assert copies <= VFDS * (burst + settings.log_rate * seconds)
    assert sent > copies


def _is_true(result: TaskResult, ways: Mapping[str, Trajectory], arrived: set[int]) -> None:
    """Whatever the verdicts call delivered has arrived, and whatever they call lost has not.

    Packets whose copies at the first, flooded switch were all lost are left out.
    """
    assert result.packets > 0
    identities = {name: way.hops[0].headers_in.ip_id for name, way in ways.items() if way.hops[0].headers_in}
    handed = {identities.get(name) for name, way in ways.items() if way.ending is Ending.HANDED_TO_PORT}
    assert handed - {None} <= arrived
    for group in result.groups:
        if group.verdict.disposition.is_loss:
            assert identities.get(group.example.packet_id) not in arrived, group.verdict
