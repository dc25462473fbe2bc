from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

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


def test_a_translation_is_told_with_both_five_tuples(hop: MakeHop, way: Way, scene: Scene) -> None:
    before = hop("cs1/br-int", 1).headers_in
    assert before is not None
    assert before.five_tuple is not None
    key = replace(before.five_tuple, source=IPv4Address("192.0.2.77"))
    observed = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, headers_out=replace(before, five_tuple=key)))
    verdict = diagnose(replace(observed, nat_key=key), None, scene)
    sentence = f"cs1/br-int translated it: {before.five_tuple} became {key}."
    assert [fact.observed for fact in verdict.evidence if fact.sentence == sentence] == [True]
