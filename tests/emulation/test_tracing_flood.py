"""A flood of the traced traffic: the data plane caps what reaches us, and nobody else's trace or traffic suffers."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from flooding import FLOODED, flood, received
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from vtrace_program import DEADLINE, FrameSender, Vtrace, captured, pauses, repeating

from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.trajectory import Ending, Origin, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult
from vtrace_ovs.session.collecting import MOST_ALIKE, place_of

QUIET = "udp,nw_src=10.0.1.11,nw_dst=10.0.2.22,tp_dst=5000"
TRACE_TIME = 6
CROWD, CALM = 100, 10
TOS = 0x28
VFDS = 6
BURST = 1000
pytestmark = pytest.mark.usefixtures("unchanged")


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
    assert copies <= VFDS * (settings.most_burst + settings.log_rate * seconds)
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
