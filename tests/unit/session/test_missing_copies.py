"""Whichever copies never come: no packet that arrived is called lost, and no loss is blamed on another cause (N3)."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_network import CS1, CS2, GW, VM_PORT, headers, ssh, tcp_to_db
from session_world import World

from vtrace_ovs.model.flow import MeterCounters
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session.events import PacketInReceived

Fate = tuple[Disposition, CauseCode]
UNKNOWN: Fate = (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)
EXAMPLES = 40


def delivered(world: World, packet: Headers) -> Iterator[PacketInReceived]:
    yield from world.whole_way(packet)


def denied(world: World, packet: Headers) -> Iterator[PacketInReceived]:
    """A rule of cs1 drops it."""
    (plan, *_) = world.session.deployment.plans_on(CS1)
    (deny,) = [probe for probe in plan.probes if probe.flow is not None and probe.flow.match == ssh()]
    yield world.entering(packet)
    yield world.copy(CS1, deny, world.state(1), packet, in_port=VM_PORT)


def lost_on_wire(world: World, packet: Headers) -> Iterator[PacketInReceived]:
    yield world.entering(packet)
    yield world.leaving(packet)


def lost_in_vfd(world: World, packet: Headers) -> Iterator[PacketInReceived]:
    """Something in cs2 swallows it without a word."""
    yield world.entering(packet)
    yield world.leaving(packet)
    yield world.arriving(packet)


@dataclass(frozen=True)
class Situation:
    copies: Callable[[World, Headers], Iterator[PacketInReceived]]
    fate: Fate
    port: int = 443


SITUATIONS = {
    "delivered": Situation(delivered, (Disposition.DELIVERED, CauseCode.NONE)),
    "denied": Situation(denied, (Disposition.DROPPED, CauseCode.EXPLICIT_DROP), port=22),
    "lost on wire": Situation(lost_on_wire, (Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS)),
    "lost in a VFD": Situation(lost_in_vfd, (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN)),
}


class Lossy:
    """A world whose bridges count every copy they take; ``lost`` says of each in turn whether it never comes."""

    def __init__(self, situation: Situation, lost: list[bool]) -> None:
        self.world = World(CS1, CS2, GW)
        self.world.claim(tcp_to_db(situation.port, packet_count=8, trace_time=10))
        self.taken = Counter[BridgeId]()
        self.lost = 0
        self._situation = situation
        self._fates = iter(lost)
        self._count()

    def send(self, ip_id: int) -> None:
        for copy in self._situation.copies(self.world, headers(ip_id=ip_id, port=self._situation.port)):
            self.taken[copy.bridge] += 1
            self._count()
            if next(self._fates, False):
                self.lost += 1
            else:
                self.world.feed(copy)

    def _count(self) -> None:
        for bridge in (CS1, CS2):
            plan = self.world.plan(bridge)
            if plan is not None:  # no VFD is armed that the packets cannot come to
                self.world.counters[bridge] = (MeterCounters(plan.meter_ids.traced, self.taken[bridge], 0),)

    def fates(self) -> set[Fate]:
        """What the task and its packets are said to have met, in the end."""
        self.world.wait(20, step=0.25)
        assert self.world.session.idle
        result = self.world.result
        verdicts = (result.verdict, *(group.verdict for group in result.groups))
        assert result.copies_lost == self.lost
        return {(verdict.disposition, verdict.code) for verdict in verdicts}


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("alike", [False, True], ids=["told apart", "equal packets"])
def test_no_loss_of_copies_makes_a_verdict_wrong(name: str, *, alike: bool) -> None:
    situation = SITUATIONS[name]

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(lost=st.lists(st.booleans(), max_size=12), pauses=st.lists(st.sampled_from([0.0, 0.3, 2.5]), max_size=3))
    def said(lost: list[bool], pauses: list[float]) -> None:
        lossy = Lossy(situation, lost)
        for number in range(3):
            lossy.send(7 if alike else number)
            if number < len(pauses) and pauses[number]:
                lossy.world.wait(pauses[number], step=0.25)
        fates = lossy.fates()
        assert fates <= {situation.fate, UNKNOWN}
        if not any(lost):
            assert fates == {situation.fate}

    said()
