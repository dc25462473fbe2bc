"""Turns a loss and what counters say of the flow, the meter and the ports it is blamed on into numbers (idea N10)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from vtrace_ovs.diagnosis.case import seen
from vtrace_ovs.diagnosis.naming import counted, port_name
from vtrace_ovs.diagnosis.scene import MeterReading, Scene
from vtrace_ovs.model.flow import FlowKey, PortCounters
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Evidence, Verdict


@dataclass(frozen=True, slots=True)
class Counters:
    """What production's flows and ports counted while the task ran, as far as that is known (packets)."""

    flows: Mapping[tuple[BridgeId, FlowKey], int] = field(default_factory=dict)
    ports: Mapping[tuple[BridgeId, int], PortCounters] = field(default_factory=dict)


NOT_COUNTED = Counters()


def with_numbers(verdict: Verdict, example: Trajectory, scene: Scene, counters: Counters) -> Verdict:
    """The verdict on packets that fared like ``example``, with what was counted at the place that is blamed."""
    culprit = verdict.culprit
    if culprit is None or not verdict.disposition.is_loss:
        return verdict
    facts = (*_of_the_flow(verdict, culprit, counters), *_of_the_ports(culprit, example, scene, counters))
    verdict = replace(verdict, evidence=(*verdict.evidence, *facts))
    return _with_meter(verdict, culprit, scene) if verdict.code is CauseCode.METER_RATE_LIMIT else verdict


def limit_phrase(reading: MeterReading) -> str:
    """``meter 7, limit 10 packets/s, burst 5 packets``: as the meter is configured."""
    entry = reading.entry
    rate, burst = ("packets/s", counted(entry.burst, "packet")) if entry.packets else ("kbit/s", f"{entry.burst} kbit")
    return f"meter {entry.meter_id}, limit {entry.rate} {rate}" + (f", burst {burst}" if entry.burst else "")


def _with_meter(verdict: Verdict, culprit: Culprit, scene: Scene) -> Verdict:
    """The meter counts on while packets are judged: its numbers are those of the last look."""
    if culprit.bridge is None or culprit.meter_id is None:
        return verdict
    reading = scene.meter(culprit.bridge, culprit.meter_id)
    if reading is None:
        return verdict
    whole = counted(reading.packets_in, "packet")
    numbers = f"Meter {culprit.meter_id} dropped {reading.packets_dropped} of {whole} while the task ran."
    return replace(
        verdict,
        operator_sentence=f"{verdict.operator_sentence} {numbers}",
        evidence=(*verdict.evidence, seen(numbers)),
    )


def _of_the_flow(verdict: Verdict, culprit: Culprit, counters: Counters) -> Iterator[Evidence]:
    """Traced packets that were seen at the flow met our copy of it, so that it counted others only."""
    if culprit.bridge is None or culprit.flow is None:
        return
    others = counters.flows.get((culprit.bridge, culprit.flow))
    if others is None:
        return
    if verdict.confidence is Confidence.OBSERVED:
        yield seen(f"Besides the traced packets, {counted(others, 'packet')} met that flow while the task ran.")
    else:
        yield seen(f"That flow counted {counted(others, 'packet')} while the task ran.")


def _of_the_ports(culprit: Culprit, example: Trajectory, scene: Scene, counters: Counters) -> Iterator[Evidence]:
    """The port the packets left by, and those where they should have come in, if they were lost behind it."""
    hop = example.last
    if hop is None or hop.bridge != culprit.bridge or hop.out_port is None:
        return
    sent = counters.ports.get((hop.bridge, hop.out_port))
    if sent is not None:
        where = port_name(scene, hop.bridge, hop.out_port)
        yield _traffic(where, "sent", sent.tx_packets, sent.tx_dropped)
    if culprit.next_node is None:
        return
    for bridge, ofport in scene.places.onward(hop.bridge, hop.out_port, hop.left_by).arrivals:
        came = counters.ports.get((bridge, ofport))
        if came is not None:
            yield _traffic(port_name(scene, bridge, ofport), "received", came.rx_packets, came.rx_dropped)


def _traffic(where: str, verb: str, packets: int | None, dropped: int | None) -> Evidence:
    passed = f"{verb} {'an unknown number of packets' if packets is None else counted(packets, 'packet')}"
    lost = "" if dropped is None else f" and dropped {dropped}"
    return seen(f"{where[0].upper()}{where[1:]} {passed}{lost} while the task ran, of all traffic.")
