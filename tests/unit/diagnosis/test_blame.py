from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.blame import Counters, limit_phrase, with_numbers
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import MeterReading, Scene
from vtrace_ovs.model.flow import FlowKey, MeterEntry, PortCounters
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Verdict

CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
METER = MeterReading(CS1, MeterEntry(7, 10, 5, packets=True), 60, 41)


def facts(verdict: Verdict) -> list[str]:
    return [fact.sentence for fact in verdict.evidence]


@pytest.fixture
def denied(hop: Callable[..., Hop], way: Callable[..., Trajectory], flow: Callable[..., FlowKey]) -> Trajectory:
    step = Step(20, flow(20, 9, tcp_dst=443), 0x53, "drop")
    return way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))


def test_a_meters_limit_is_told_in_its_own_units() -> None:
    assert limit_phrase(METER) == "meter 7, limit 10 packets/s, burst 5 packets"
    kbps = MeterReading(CS1, MeterEntry(3, 2000, 100, packets=False), 9, 1)
    assert limit_phrase(kbps) == "meter 3, limit 2000 kbit/s, burst 100 kbit"
    assert limit_phrase(replace(kbps, entry=MeterEntry(3, 2000, 0, packets=False))) == "meter 3, limit 2000 kbit/s"


def test_a_rate_limit_says_how_many_packets_the_meter_dropped_of_how_many(opened: Trajectory, scene: Scene) -> None:
    limited = replace(
        diagnose(opened, None, scene),
        disposition=Disposition.DROPPED,
        code=CauseCode.METER_RATE_LIMIT,
        culprit=Culprit("cs1", CS1, meter_id=7),
    )
    told = with_numbers(limited, opened, replace(scene, meters=(METER,)), Counters())
    assert told.operator_sentence.endswith(" Meter 7 dropped 41 of 60 packets while the task ran.")
    assert "Meter 7 dropped 41 of 60 packets while the task ran." in facts(told)
    assert told.tenant_sentence == limited.tenant_sentence
    assert with_numbers(limited, opened, scene, Counters()) == limited, "no reading, no numbers"


def test_the_dropping_flow_says_whom_else_it_met(
    denied: Trajectory, scene: Scene, flow: Callable[..., FlowKey]
) -> None:
    verdict = diagnose(denied, None, scene)
    counted = Counters({(CS1, flow(20, 9, tcp_dst=443)): 57})
    assert "Besides the traced packets, 57 packets met that flow while the task ran." in facts(
        with_numbers(verdict, denied, scene, counted)
    )
    guessed = replace(verdict, confidence=Confidence.INFERRED)
    assert "That flow counted 57 packets while the task ran." in facts(with_numbers(guessed, denied, scene, counted))
    elsewhere = Counters({(CS2, flow(20, 9, tcp_dst=443)): 57})
    assert with_numbers(verdict, denied, scene, elsewhere) == verdict


def test_loss_on_the_wire_tells_what_both_ports_counted(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sent, None, scene)
    ports = {(CS1, 10): PortCounters(10, 5, 20, 0, 3), (CS2, 10): PortCounters(10, 0, 9, None, 0)}
    told = facts(with_numbers(verdict, sent, scene, Counters(ports=ports)))
    assert told[-2:] == [
        "Port 10 (vxlan0) of cs1/br-int sent 20 packets and dropped 3 while the task ran, of all traffic.",
        "Port 10 (vxlan0) of cs2/br-int received 0 packets while the task ran, of all traffic.",
    ]


def test_delivery_needs_no_numbers(hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene) -> None:
    delivered = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))
    verdict = diagnose(delivered, None, scene)
    counted = Counters(ports={(CS1, 2): PortCounters(2, 1, 1, 1, 1)})
    assert with_numbers(verdict, delivered, scene, counted) == verdict
