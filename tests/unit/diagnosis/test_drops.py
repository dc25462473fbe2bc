from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.cost import FullZone
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, NearMiss, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeFlow = Callable[..., FlowKey]
Foresee = Callable[..., Trajectory]

CS1 = BridgeId("cs1", "br-int")


def summary(verdict: Verdict) -> tuple[Disposition, CauseCode, Confidence]:
    return verdict.disposition, verdict.code, verdict.confidence


@pytest.mark.parametrize(
    ("table", "priority", "fields", "code", "category"),
    [
        (20, 100, {"tcp_dst": 23}, CauseCode.SECURITY_RULE_DENY, CauseCategory.SECURITY_POLICY),
        (20, 50, {"reg1": 3}, CauseCode.SECURITY_RULE_DENY, CauseCategory.SECURITY_POLICY),
        (20, 0, {}, CauseCode.SECURITY_DEFAULT_DENY, CauseCategory.SECURITY_POLICY),
        (20, 1, {"reg1": 3}, CauseCode.SECURITY_DEFAULT_DENY, CauseCategory.SECURITY_POLICY),
        (5, 0, {}, CauseCode.ANTI_SPOOFING_DENY, CauseCategory.SECURITY_POLICY),
        (10, 0, {}, CauseCode.NO_ROUTE, CauseCategory.CONFIG_ERROR),
        (10, 124, {"ipv4_dst": 0x0A004200}, CauseCode.BLACKHOLE_ROUTE, CauseCategory.CONFIG_ERROR),
        (30, 0, {}, CauseCode.UNKNOWN_DESTINATION, CauseCategory.CONFIG_ERROR),
        (30, 9, {"eth_dst": 1}, CauseCode.EXPLICIT_DROP, CauseCategory.UNKNOWN),
        (0, 5, {"in_port": 1}, CauseCode.EXPLICIT_DROP, CauseCategory.UNKNOWN),
        (99, 5, {"in_port": 1}, CauseCode.EXPLICIT_DROP, CauseCategory.UNKNOWN),
    ],
)
def test_a_drop_means_what_its_table_is_for(  # noqa: PLR0913, PLR0917 - a table of cases
    table: int,
    priority: int,
    fields: dict[str, int],
    code: CauseCode,
    category: CauseCategory,
    hop: MakeHop,
    way: Way,
    flow: MakeFlow,
    scene: Scene,
) -> None:
    key = flow(table, priority, **fields)
    shape = DropShape.EXPLICIT_DROP if priority else DropShape.TABLE_MISS_FLOW
    cookie = 0x53 if priority > 1 else 0x60
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", Step(table, key, cookie, "drop"), drop=shape))
    verdict = diagnose(observed, None, scene)
    assert summary(verdict) == (Disposition.DROPPED, code, Confidence.OBSERVED)
    assert verdict.category is category
    assert verdict.culprit is not None
    assert (verdict.culprit.bridge, verdict.culprit.table_id, verdict.culprit.flow) == (CS1, table, key)
    assert verdict.culprit.owner == ("security group rule 3" if priority > 1 else None)
    assert f"table={table}" in verdict.operator_sentence


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (20, CauseCode.SECURITY_DEFAULT_DENY),
        (10, CauseCode.NO_ROUTE),
        (30, CauseCode.UNKNOWN_DESTINATION),
        (0, CauseCode.TABLE_MISS),
    ],
)
def test_a_miss_without_a_table_miss_flow(table: int, code: CauseCode, hop: MakeHop, way: Way, scene: Scene) -> None:
    step = Step(table, None, None, "")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.NO_MATCH))
    verdict = diagnose(observed, None, scene)
    assert verdict.code is code
    assert "no flow matches" in verdict.operator_sentence


@pytest.mark.parametrize(
    ("shape", "code"),
    [(DropShape.EXPLICIT_DROP, CauseCode.EXPLICIT_DROP), (DropShape.TABLE_MISS_FLOW, CauseCode.TABLE_MISS)],
)
def test_without_a_profile_the_causes_are_generic_and_say_so(
    shape: DropShape, code: CauseCode, hop: MakeHop, way: Way, flow: MakeFlow, topology: Topology
) -> None:
    step = Step(20, flow(20, 5, tcp_dst=23), 0, "drop")
    verdict = diagnose(way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=shape)), None, Scene(topology))
    assert verdict.code is code
    assert "no profile" in verdict.operator_sentence


def test_the_tables_tell_an_output_that_is_missing_from_a_drop(
    hop: MakeHop, way: Way, flow: MakeFlow, scene: Scene, foresee: Foresee
) -> None:
    step = Step(0, flow(0, 5), 0, "")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))
    verdict = diagnose(observed, foresee(step=step, drop=DropShape.NO_OUTPUT), scene)
    assert verdict.code is CauseCode.NO_OUTPUT_ACTION


def test_near_misses_come_from_the_prediction(
    hop: MakeHop, way: Way, flow: MakeFlow, scene: Scene, foresee: Foresee
) -> None:
    near = NearMiss(flow(20, 100, tcp_dst=443), 0x51, (("tcp_dst", "443", "444"),))
    miss = Step(20, flow(20, 0), 0x60, "drop", near_misses=(near,))
    observed = way(
        Ending.DROPPED,
        hop("cs1/br-int", 1, "in error", replace(miss, near_misses=()), drop=DropShape.TABLE_MISS_FLOW),
    )
    verdict = diagnose(observed, foresee(step=miss, drop=DropShape.TABLE_MISS_FLOW), scene)
    assert verdict.near_misses == (near,)


def test_a_prediction_that_disagrees_is_evidence_not_silence(
    hop: MakeHop, way: Way, flow: MakeFlow, scene: Scene, foresee: Foresee
) -> None:
    step = Step(20, flow(20, 100, tcp_dst=23), 0, "drop")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))
    verdict = diagnose(observed, foresee(Ending.HANDED_TO_PORT, out_port=1), scene)
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY, Confidence.OBSERVED)
    assert any("let the packet pass" in fact.sentence for fact in verdict.evidence)


def test_a_drop_that_ties_with_another_flow_names_both(
    hop: MakeHop, way: Way, flow: MakeFlow, foresee: Foresee, scene: Scene
) -> None:
    dropping, other = flow(20, 7, tcp_dst=23), flow(20, 7, reg1=3)
    step = Step(20, dropping, 0x53, "drop")
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))
    told = foresee(
        steps=(replace(step, ambiguous=True, near_misses=(NearMiss(other, 0x60, ()),)),), drop=observed.hops[0].drop
    )
    led_on = foresee(Ending.HANDED_TO_PORT, steps=(Step(20, other, 0x60, "goto_table:30", ambiguous=True),), out_port=1)
    for predicted in (told, led_on):
        verdict = diagnose(observed, predicted, scene)
        assert summary(verdict)[:2] == (Disposition.DROPPED, CauseCode.OVERLAPPING_FLOWS)
        assert "tcp_dst=23" in verdict.operator_sentence or "tp_dst=23" in verdict.operator_sentence
        assert "reg1=3 has other actions" in verdict.operator_sentence.replace("reg1=0x3", "reg1=3")
    elsewhere = replace(led_on.hops[0].steps[0], flow=flow(20, 8, reg1=3))
    assert diagnose(observed, foresee(Ending.HANDED_TO_PORT, steps=(elsewhere,), out_port=1), scene).code is (
        CauseCode.SECURITY_RULE_DENY
    )


def test_a_full_zone_is_named_where_a_packet_is_of_no_connection(
    hop: MakeHop, way: Way, flow: MakeFlow, scene: Scene
) -> None:
    full = replace(scene, full_zones={"cs1": (FullZone(7, 5, 5),)})
    for fields, told in (({"ct_state": 0x21}, 1), ({"tcp_dst": 23}, 0)):
        step = Step(20, flow(20, 7, **fields), 0x60, "drop")
        observed = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))
        facts = [fact.sentence for fact in diagnose(observed, None, full).evidence]
        assert (
            facts.count("Connection tracking zone 7 of cs1 is full (5 of 5 connections): it commits no more.") == told
        )
