from collections.abc import Callable

import pytest

from vtrace_ovs.diagnosis.blame import Counters
from vtrace_ovs.diagnosis.queues import behind_a_queue
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import PortCounters
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

CS1 = BridgeId("cs1", "br-int")


@pytest.fixture
def handed(hop: Callable[..., Hop], way: Callable[..., Trajectory]) -> Trajectory:
    """Handed to port 2 of cs1."""
    return way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))


def queued(sent: int | None, dropped: int | None) -> Counters:
    """What the queues of that port did."""
    return Counters(ports={(CS1, 2): PortCounters(2, 0, 0, 0, 0, sent, dropped)})


def test_where_the_queues_send_nothing_the_packet_is_dropped(handed: Trajectory, scene: Scene) -> None:
    verdict = behind_a_queue(diagnose(handed, None, scene), handed, scene, queued(0, 60))
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.EGRESS_QUEUE_LIMIT)
    assert verdict.confidence is Confidence.CORROBORATED
    assert "dropped 60 of 60 packets while the task ran" in verdict.operator_sentence
    assert verdict.culprit is not None
    assert verdict.culprit.bridge == CS1


def test_where_they_drop_more_than_they_send_nobody_knows(handed: Trajectory, scene: Scene) -> None:
    verdict = behind_a_queue(diagnose(handed, None, scene), handed, scene, queued(19, 41))
    assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.EGRESS_QUEUE_LIMIT)
    assert "dropped 41 of 60 packets" in verdict.operator_sentence


def test_where_they_drop_few_the_numbers_are_evidence(handed: Trajectory, scene: Scene) -> None:
    verdict = behind_a_queue(diagnose(handed, None, scene), handed, scene, queued(59, 1))
    assert verdict.disposition is Disposition.DELIVERED
    assert any("dropped 1 of 60 packets" in fact.sentence for fact in verdict.evidence)


@pytest.mark.parametrize("counters", [queued(9, 0), queued(None, None), Counters()])
def test_without_a_drop_nothing_is_said(counters: Counters, handed: Trajectory, scene: Scene) -> None:
    verdict = diagnose(handed, None, scene)
    assert behind_a_queue(verdict, handed, scene, counters) == verdict
