from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.profile import NamedFlow, PipelineProfile, Stage, StageRule
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import TO_CONTROLLER, DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]
MakeTunnel = Callable[[str, str], Tunnel]
Foresee = Callable[..., Trajectory]


def summary(verdict: Verdict) -> tuple[Disposition, CauseCode, Confidence]:
    return verdict.disposition, verdict.code, verdict.confidence


def test_handed_to_a_port_is_delivered_and_names_port_and_vm(
    hop: MakeHop, way: Way, tunnel: MakeTunnel, scene: Scene
) -> None:
    through = tunnel("cs1", "cs2")
    observed = way(
        Ending.HANDED_TO_PORT,
        hop("cs1/br-int", 1, out_port=10, left_by=through),
        hop("cs2/br-int", 2, out_port=1, arrived_by=through),
    )
    verdict = diagnose(observed, None, scene)
    assert summary(verdict) == (Disposition.DELIVERED, CauseCode.NONE, Confidence.OBSERVED)
    assert verdict.operator_sentence == "Handed to port 1 (tap-cs2) of cs2/br-int, the port of vm-cs2."
    assert verdict.category is CauseCategory.NONE


def test_a_port_that_gets_another_name_or_machine_is_told_of_as_it_is_now(hop: MakeHop, way: Way, scene: Scene) -> None:
    told = []
    for name, vm in (("tap0", "vm0"), ("tap1", "vm0"), ("tap1", None), ("tap0", "vm0")):
        bridges = (
            replace(bridge, ports=tuple(replace(port, name=name, vm=vm) for port in bridge.ports))
            for bridge in scene.topology.bridges
        )
        known = replace(scene, topology=replace(scene.topology, bridges=tuple(bridges)))
        told.append(diagnose(way(Ending.HANDED_TO_PORT, hop("cs2/br-int", 1, out_port=1)), None, known))
    assert [verdict.operator_sentence for verdict in told] == [
        "Handed to port 1 (tap0) of cs2/br-int, the port of vm0.",
        "Handed to port 1 (tap1) of cs2/br-int, the port of vm0.",
        "Handed to port 1 (tap1) of cs2/br-int.",
        "Handed to port 1 (tap0) of cs2/br-int, the port of vm0.",
    ]
    assert told[3] == told[0]


def test_handed_to_somebody_elses_port_is_noted(hop: MakeHop, way: Way, scene: Scene) -> None:
    verdict = diagnose(way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2)), None, scene)
    assert verdict.disposition is Disposition.DELIVERED
    assert any("not the one known" in fact.sentence for fact in verdict.evidence)


def _of_blue(scene: Scene) -> Scene:
    """The scene with every endpoint known to be the tenant's."""
    topology = scene.topology
    bridges = (
        replace(bridge, ports=tuple(replace(port, tenant="blue") for port in bridge.ports))
        for bridge in topology.bridges
    )
    return replace(scene, topology=replace(topology, bridges=tuple(bridges)))


def test_handed_to_another_machine_than_the_one_with_the_address_is_no_delivery(
    hop: MakeHop, way: Way, scene: Scene
) -> None:
    handed = hop("cs1/br-int", 1, out_port=2, ending=Ending.HANDED_TO_PORT)
    verdict = diagnose(way(Ending.HANDED_TO_PORT, handed), None, _of_blue(scene))
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.WRONG_ENDPOINT, Confidence.OBSERVED)
    assert verdict.operator_sentence == (
        "Handed to port 2 (tap-cs1-b) of cs1/br-int, the port of vm-cs1-b, "
        "but the destination address is that of port 1 (tap-cs2) of cs2/br-int, the port of vm-cs2."
    )


def test_a_copy_for_another_machine_beside_the_addressees_own_is_no_mistake(
    hop: MakeHop, way: Way, scene: Scene
) -> None:
    right = hop("cs2/br-int", 1, out_port=1, ending=Ending.HANDED_TO_PORT)
    other = hop("cs2/br-int", 1, out_port=2, ending=Ending.HANDED_TO_PORT)
    verdict = diagnose(way(Ending.HANDED_TO_PORT, right, other), None, _of_blue(scene))
    assert verdict.disposition is Disposition.DELIVERED


def test_the_local_port_is_an_exit(hop: MakeHop, way: Way, scene: Scene) -> None:
    verdict = diagnose(way(Ending.EXITED, hop("cs1/br-int", 1, out_port=0xFFFFFFFE)), None, scene)
    assert summary(verdict) == (Disposition.EXITED, CauseCode.NONE, Confidence.OBSERVED)


def test_a_patch_to_the_underlay_is_an_exit(hop: MakeHop, way: Way, scene: Scene) -> None:
    verdict = diagnose(way(Ending.ON_WIRE, hop("cs1/br-int", 1, out_port=30)), None, scene)
    assert verdict.disposition is Disposition.EXITED


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (DropShape.PORT_DOWN, CauseCode.PORT_DOWN),
        (DropShape.PORT_GONE, CauseCode.PORT_GONE),
        (DropShape.OUTPUT_TO_INGRESS, CauseCode.OUTPUT_TO_INGRESS),
    ],
)
def test_a_logged_out_to_a_port_that_does_not_send_is_no_delivery(
    shape: DropShape, code: CauseCode, hop: MakeHop, way: Way, foresee: Foresee, scene: Scene
) -> None:
    observed = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=1))
    verdict = diagnose(observed, foresee(out_port=1, drop=shape), scene)
    assert summary(verdict) == (Disposition.DROPPED, code, Confidence.CORROBORATED)


def test_a_tunnel_port_that_is_down_is_not_the_tenants_fault(sent: Trajectory, foresee: Foresee, scene: Scene) -> None:
    verdict = diagnose(sent, foresee(out_port=10, drop=DropShape.PORT_DOWN), scene)
    assert verdict.code is CauseCode.PORT_DOWN
    assert verdict.category is CauseCategory.VFD_FAULT


def test_an_output_the_vfd_itself_calls_suppressed_is_seen_dropped(hop: MakeHop, way: Way, scene: Scene) -> None:
    observed = way(Ending.DROPPED, hop("cs1/br-int", 1, out_port=1, drop=DropShape.OUTPUT_TO_INGRESS))
    verdict = diagnose(observed, None, scene)
    assert summary(verdict) == (Disposition.DROPPED, CauseCode.OUTPUT_TO_INGRESS, Confidence.OBSERVED)
    assert verdict.evidence[1].sentence == (
        "By the inventory, its destination address is that of port 1 (tap-cs2) of cs2/br-int, the port of vm-cs2."
    )


def test_an_unnamed_output_beside_the_addressees_port_is_inferred_delivery(
    hop: MakeHop, way: Way, scene: Scene
) -> None:
    verdict = diagnose(way(Ending.UNKNOWN, hop("cs2/br-int", 1)), None, scene)
    assert summary(verdict) == (Disposition.DELIVERED, CauseCode.NONE, Confidence.INFERRED)
    assert "vm-cs2" in verdict.operator_sentence


def test_an_unnamed_output_elsewhere_is_inconclusive(hop: MakeHop, way: Way, scene: Scene) -> None:
    verdict = diagnose(way(Ending.UNKNOWN, hop("gw1/br-int", 1)), None, scene)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.UNKNOWN, Confidence.UNDECIDED)


def test_a_group_without_a_live_bucket(hop: MakeHop, way: Way, foresee: Foresee, scene: Scene) -> None:
    predicted = foresee(drop=DropShape.NO_LIVE_BUCKET)
    for observed in (way(Ending.UNKNOWN, hop("cs1/br-int", 1)), way(Ending.OPEN, hop("cs1/br-int", 1, "in"))):
        verdict = diagnose(observed, predicted, scene)
        assert summary(verdict) == (Disposition.DROPPED, CauseCode.NO_LIVE_BUCKET, Confidence.INFERRED)


def test_what_a_flow_leaves_to_the_controller_is_not_known_unless_it_rejects(
    hop: MakeHop, way: Way, scene: Scene, profile: PipelineProfile
) -> None:
    step = Step(20, FlowKey(20, 9, Match()), 0x51, TO_CONTROLLER)
    observed = way(Ending.UNKNOWN, hop("cs2/br-int", 1, "in out", step))
    verdict = diagnose(observed, None, scene)
    assert summary(verdict) == (Disposition.INCONCLUSIVE, CauseCode.UNKNOWN, Confidence.UNDECIDED)
    assert "security group rule 1" in verdict.operator_sentence
    assert "vm-cs2" not in verdict.operator_sentence, "it was not handed to the addressee"
    named = replace(profile, stages=(StageRule("acl", Stage.SECURITY),), named=(NamedFlow(0x51, "acl", "ACL 1", True),))
    rejected = diagnose(observed, None, replace(scene, profiles={BridgeId("cs2", "br-int"): named}))
    assert summary(rejected) == (Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY, Confidence.INFERRED)
