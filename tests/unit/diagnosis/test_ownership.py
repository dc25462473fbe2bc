from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.ownership import with_owners
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.topology import BridgeController, BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory

CS1 = BridgeId("cs1", "br-int")
SINCE = 1_772_409_600.0
Told = Callable[..., list[str]]


@pytest.fixture
def told(scene: Scene, hop: Callable[..., Hop], way: Callable[..., Trajectory], flow: Callable[..., FlowKey]) -> Told:
    """What is added to a verdict that blames a flow of cs1, where that bridge is as said."""

    def build(cookie: int = 0x53, *, profile: bool = True, **more: object) -> list[str]:
        bridges = tuple(
            replace(bridge, **more) if bridge.id == CS1 else bridge  # type: ignore[arg-type]  # fields of Bridge
            for bridge in scene.topology.bridges
        )
        there = replace(
            scene,
            topology=replace(scene.topology, bridges=bridges),
            profiles=scene.profiles if profile else {},
        )
        step = Step(20, flow(20, 9, tcp_dst=443), cookie, "drop")
        denied = way(Ending.DROPPED, hop("cs1/br-int", 1, "in error", step, drop=DropShape.EXPLICIT_DROP))
        verdict = diagnose(denied, None, there)
        whole = with_owners(verdict, denied, there)
        assert whole.tenant_sentence == verdict.tenant_sentence
        assert all(fact.observed for fact in whole.evidence[len(verdict.evidence) :])
        return [fact.sentence for fact in whole.evidence[len(verdict.evidence) :]]

    return build


def test_controllers_are_named_with_their_connection_and_role(told: Told) -> None:
    there = BridgeController("tcp:192.0.2.9:6653", connected=True, role="master", since=SINCE)
    gone = BridgeController("ssl:192.0.2.8:6653", connected=False, role="other", since=SINCE)
    assert told(controllers=(there, gone))[0] == (
        "cs1/br-int is run by tcp:192.0.2.9:6653 (connected since 2026-03-02 00:00:00+00:00, role master), "
        "ssl:192.0.2.8:6653 (not connected since 2026-03-02 00:00:00+00:00)."
    )


@pytest.mark.parametrize(
    ("fail_mode", "meanwhile"),
    [
        ("secure", "its flows stay as they are"),
        ("standalone", "it may forward like a learning switch"),
        (None, "it may forward like a learning switch"),
    ],
)
def test_what_a_bridge_does_without_its_controller_is_said(told: Told, fail_mode: str | None, meanwhile: str) -> None:
    never = BridgeController("tcp:192.0.2.9:6653", connected=False)
    (who, *_) = told(controllers=(never,), fail_mode=fail_mode)
    assert "tcp:192.0.2.9:6653 (never connected); " in who
    assert meanwhile in who


def test_a_bridge_of_ovn_or_of_nobody_is_said_to_be(told: Told) -> None:
    assert (
        "by ovn-controller, from the southbound database tcp:192.0.2.1:6642" in told(southbound="tcp:192.0.2.1:6642")[0]
    )
    assert "has no controller in its OVSDB" in told()[0]


def test_the_flow_is_told_apart_by_its_cookies_owner(told: Told) -> None:
    assert "By the profile lab its flow is of security group rule 3." in told()
    assert "Whose the flow's cookie 0x99 is, the profile lab does not say." in told(0x99)
    assert "Whose the flow's cookie 0x99 is, there is no profile to say." in told(0x99, profile=False)


def test_external_ids_are_told_as_text_and_not_without_end(told: Told) -> None:
    pairs = (("bridge-id", "br-int"), ("note", "a\nb\x1b[31m"))
    assert "external_ids of cs1/br-int: bridge-id=br-int, note=a\\nb\\x1b[31m." in told(external_ids=pairs)
    many = tuple((f"key{number}", "x") for number in range(20))
    assert any(sentence.endswith("and 12 more.") for sentence in told(external_ids=many))


def test_the_port_that_is_blamed_is_told_with_its_vm_and_tenant(
    hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene
) -> None:
    expected = hop("cs1/br-int", 1, out_port=1, drop=DropShape.PORT_DOWN)
    left = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=1))
    verdict = diagnose(left, way(Ending.DROPPED, expected, predicted=True), scene)
    told = [fact.sentence for fact in with_owners(verdict, left, scene).evidence]
    assert "Port 1 (tap-cs1) of cs1/br-int is the port of vm-cs1 of tenant blue." in told


def test_what_blames_no_bridge_gets_nothing(
    hop: Callable[..., Hop], way: Callable[..., Trajectory], scene: Scene
) -> None:
    delivered = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))
    verdict = diagnose(delivered, None, scene)
    assert with_owners(verdict, delivered, scene) == verdict
