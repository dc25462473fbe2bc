"""Traffic that is never sent, because its sender's next hop does not answer."""

from ipaddress import IPv4Address

import pytest
from session_network import CS1, VM_PORT, WEB, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.packet import Headers, NeighbourQuestion
from vtrace_ovs.model.verdict import CauseCode
from vtrace_ovs.session.events import PacketInReceived

NEXT_HOP = IPv4Address("10.0.2.1")


def asking(world: World, asker: IPv4Address = WEB, port: int = VM_PORT) -> PacketInReceived:
    """An ARP request that comes in at a port of cs1."""
    question = NeighbourQuestion(NEXT_HOP, asker)
    packet = Headers("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", 0x0806, 42, question=question)
    return world.copy(CS1, world.probe(CS1, ProbeKind.ASKED), State(), packet, in_port=port)


def test_a_sender_that_asks_for_its_neighbour_in_vain_is_why_nothing_is_seen(world: World) -> None:
    world.claim(tcp_to_db(trace_time=10))
    for _ in range(3):
        world.feed(asking(world))
        world.wait(1.0)
    world.wait(8.0)
    assert world.result.verdict.code is CauseCode.NEIGHBOUR_UNRESOLVED
    assert world.clean


@pytest.mark.parametrize(
    ("asker", "port", "seconds"),
    [(WEB, VM_PORT, 4.0), (IPv4Address("10.0.9.9"), VM_PORT, 1.0), (WEB, VM_PORT + 7, 1.0)],
    ids=["answered each time", "another sender", "another port"],
)
def test_questions_that_explain_nothing_are_no_cause(
    world: World, asker: IPv4Address, port: int, seconds: float
) -> None:
    world.claim(tcp_to_db(trace_time=20))
    for _ in range(3):
        world.feed(asking(world, asker, port))
        world.wait(seconds)
    world.wait(21.0)
    assert world.result.verdict.code is CauseCode.NOT_SENT
