from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import Disposition

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]


def test_hops_without_records_are_told_as_lost_copies(hop: MakeHop, way: Way, scene: Scene) -> None:
    observed = way(
        Ending.HANDED_TO_PORT,
        hop("cs1/br-int", 1, "in", out_port=10),
        replace(hop("gw1/br-int", 2, "in"), seen=frozenset(), inferred=True),
        hop("cs2/br-int", 3, out_port=1),
    )
    verdict = diagnose(observed, None, scene)
    assert verdict.disposition is Disposition.DELIVERED
    facts = [fact.sentence for fact in verdict.evidence if not fact.observed]
    assert any("cs1/br-int logged no out" in fact for fact in facts)
    assert any("gw1/br-int logged nothing" in fact for fact in facts)


def test_other_branches_of_a_flooded_packet_are_told(hop: MakeHop, way: Way, scene: Scene) -> None:
    observed = way(
        Ending.HANDED_TO_PORT,
        hop("cs1/br-int", 1, "in out", out_port=10, ending=Ending.ON_WIRE),
        hop("cs1/br-int", 1, "in out", out_port=2),
    )
    verdict = diagnose(observed, None, scene)
    assert verdict.disposition is Disposition.DELIVERED
    assert any("on wire at cs1/br-int" in fact.sentence for fact in verdict.evidence)
