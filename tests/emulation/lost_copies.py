"""Turns situations of real traffic whose copies are lost at random into what may be said of it (idea N3)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from lossy_wire import LossyWire
from vtrace_program import UDP

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.verdict import CauseCode, Disposition, TaskResult
from vtrace_ovs.pytest_plugin import Tracer

ON_THE_WAY = tuple(
    BridgeId(server, bridge)
    for server, bridge in (("cs1", "br-int"), ("gw1", "br-int"), ("gw1", "vr-blue"), ("cs3", "br-int"))
)
CHANCES = (0.01, 0.1, 0.5)
PACKETS, TRACE_TIME, RATE = 10, 4, 40.0
PORT = 5000
NEVER_ARRIVED = "of traced packets never arrived"
Fates = set[tuple[Disposition, CauseCode]]
Loss = tuple[tuple[BridgeId, ...], float]


@dataclass(frozen=True)
class Situation:
    """What happens to the traffic, and the only ways its packets may be said to have fared."""

    fault: Fault | None
    true: frozenset[tuple[Disposition, CauseCode]]

    @contextmanager
    def brought_about(self, lab: Lab) -> Iterator[None]:
        with lab.faults.injected(self.fault) if self.fault is not None else nullcontext():
            yield


DELIVERED = Disposition.DELIVERED, CauseCode.NONE
SITUATIONS = {
    "healthy": Situation(None, frozenset({DELIVERED})),
    "security-deny": Situation(
        Fault(FaultName.SECURITY_DENY, protocol="udp", port=PORT),
        frozenset({(Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY)}),
    ),
    "underlay-link-down": Situation(
        Fault(FaultName.UNDERLAY_LINK_DOWN), frozenset({(Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS)})
    ),
    "rate-limit": Situation(
        Fault(FaultName.RATE_LIMIT, protocol="udp", port=PORT),
        frozenset({(Disposition.DROPPED, CauseCode.METER_RATE_LIMIT), DELIVERED}),  # it lets some packets pass
    ),
}
UNKNOWN = Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST


EVERYWHERE: tuple[Loss, ...] = tuple((ON_THE_WAY, chance) for chance in CHANCES)
LOSSES: tuple[Loss, ...] = (*(((one,), chance) for one in ON_THE_WAY for chance in CHANCES), *EVERYWHERE)
"""Where copies are lost, and how many: at each VFD of the way, and at all at once."""


def traced(situation: Situation, wire: LossyWire, tracer: Tracer, loss: Loss, seed: int) -> TaskResult:
    """The result for traffic that is being sent, which is checked."""
    where, chance = loss
    wire.begin(seed, dict.fromkeys(where, chance))
    result = tracer.trace(UDP, packet_count=PACKETS, trace_time=TRACE_TIME, source_vm="blue-web1")
    check(situation, wire, result)
    return result


def fates(result: TaskResult) -> Fates:
    """What is said to have become of packets."""
    return {(group.verdict.disposition, group.verdict.code) for group in result.groups}


def check(situation: Situation, wire: LossyWire, result: TaskResult) -> None:
    """No verdict is wrong, and the copies that were lost are told, by VFD.

    On a busy machine Open vSwitch drops some itself, where its queues are full: then there are more.
    """
    said = {*fates(result), (result.verdict.disposition, result.verdict.code)}
    assert said <= situation.true | {UNKNOWN}, (said, result)
    note = next((note for note in result.notes if NEVER_ARRIVED in note), "")
    told = {bridge: int(count) for count, bridge in re.findall(r"(\d+) of (\S+/[^\s,]+)", note)}
    wanted = {str(bridge): count for bridge, count in wire.lost.items()}
    if not any(cost.copies_dropped for cost in result.costs):
        assert told == wanted, (wire.lost, result)
    assert all(told.get(bridge, 0) >= count for bridge, count in wanted.items()), (wire.lost, result)
