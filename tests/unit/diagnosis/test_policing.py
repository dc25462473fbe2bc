from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket, conclude, unseen
from vtrace_ovs.diagnosis.policing import MOST_PORTS, policed_entrances, policing_notes
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId, Policing, Port
from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

REQUEST = TraceRequest(Filter("tcp"))
FROM_CS1 = TraceRequest(Filter("tcp"), Scope(source_vm="vm-cs1"))
FROM_CS2 = TraceRequest(Filter("tcp"), Scope(source_vm="vm-cs2"))
CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
LIMIT = "port 1 (tap-cs1) of cs1/br-int is limited to 64 kbit/s (ingress_policing_rate)"


@pytest.fixture
def handed(hop: Callable[..., Hop], way: Callable[..., Trajectory]) -> Trajectory:
    """In by port 1 of cs1, and out."""
    return way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))


def policed(scene: Scene, policing: Policing, named: Callable[[Port], bool]) -> Scene:
    """The scene whose ports of these names are policed."""
    bridges = tuple(
        replace(bridge, ports=tuple(replace(port, policing=policing) if named(port) else port for port in bridge.ports))
        for bridge in scene.topology.bridges
    )
    return replace(scene, topology=replace(scene.topology, bridges=bridges), copies={CS1: CopyTally(0)})


def at_cs1(scene: Scene, *, in_force: bool) -> Scene:
    return policed(scene, Policing(64, in_force), lambda port: port.name == "tap-cs1")


def test_what_policing_may_have_dropped_is_not_known_to_be_unsent(scene: Scene) -> None:
    assert unseen(FROM_CS1, replace(scene, copies={CS1: CopyTally(0)})).confidence is Confidence.OBSERVED
    verdict = unseen(FROM_CS1, at_cs1(scene, in_force=True))
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.NOT_SENT)
    assert verdict.confidence is Confidence.INFERRED
    assert f"ingress policing may have dropped it: {LIMIT}" in verdict.operator_sentence
    assert any(LIMIT in fact.sentence for fact in verdict.evidence)
    assert "rate limit" in verdict.remedy


def test_policing_that_is_not_in_force_or_elsewhere_explains_nothing(scene: Scene) -> None:
    plain = unseen(FROM_CS1, replace(scene, copies={CS1: CopyTally(0)}))
    assert unseen(FROM_CS1, at_cs1(scene, in_force=False)) == plain
    assert policed_entrances(FROM_CS2, at_cs1(scene, in_force=True)) is None


def test_of_many_policed_ports_some_are_named(scene: Scene) -> None:
    everywhere = policed(scene, Policing(64, in_force=True), lambda port: port.name.startswith("tap-"))
    clause = policed_entrances(REQUEST, everywhere)
    assert clause is not None
    assert clause.count("kbit/s") == MOST_PORTS
    assert clause.endswith(", and 1 port more")


@pytest.mark.parametrize(
    ("in_force", "what"),
    [
        (True, "what exceeds that is dropped before any flow sees it, and not in this result"),
        (False, "Open vSwitch's own datapath does not keep to that"),
    ],
)
def test_a_result_says_that_the_port_its_packets_came_by_is_policed(
    in_force: bool,
    what: str,
    handed: Trajectory,
    scene: Scene,
) -> None:
    limited = at_cs1(scene, in_force=in_force)
    packets = [DiagnosedPacket(handed, None, diagnose(handed, None, limited))] * 2
    assert conclude(1, REQUEST, packets, limited).notes == (f"{LIMIT}: {what}",)


def test_packets_that_came_elsewhere_are_told_nothing(handed: Trajectory, scene: Scene) -> None:
    at_other_port = policed(scene, Policing(64, in_force=True), lambda port: port.name == "tap-cs1-b")
    assert not list(policing_notes([handed], at_other_port))
