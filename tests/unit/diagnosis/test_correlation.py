from collections.abc import Callable
from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket, conclude
from vtrace_ovs.diagnosis.correlation import correlate
from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.correlation import Correlation, TracedTask
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit

REQUEST = TraceRequest(Filter("tcp"))
CS1, CS2 = BridgeId("cs1", "br-int"), BridgeId("cs2", "br-int")
Traced = Callable[..., TracedTask]
MakeHop = Callable[..., Hop]
Way = Callable[..., Trajectory]


@pytest.fixture
def traced(scene: Scene) -> Traced:
    """A task whose packets, one for each way, went these ways."""

    def build(number: int, *ways: Trajectory, tenant: str | None = None, **around: object) -> TracedTask:
        there = replace(scene, **around)  # type: ignore[arg-type]  # the caller names fields of Scene
        packets = [DiagnosedPacket(way, None, diagnose(way, None, there)) for way in ways]
        return TracedTask(conclude(number, REQUEST, packets, there), tenant)

    return build


@pytest.fixture
def delivered(hop: MakeHop, way: Way, tunnel: Callable[[str, str], Tunnel]) -> Trajectory:
    """From cs1 to a VM of cs2."""
    return way(
        Ending.HANDED_TO_PORT,
        hop("cs1/br-int", 1, out_port=10, left_by=tunnel("cs1", "cs2")),
        hop("cs2/br-int", 2, out_port=1),
    )


@pytest.fixture
def denied(hop: MakeHop, way: Way, flow: Callable[..., FlowKey]) -> Callable[[str, int], Trajectory]:
    """Dropped at its first VFD, by the rule about this port."""

    def build(place: str, port: int) -> Trajectory:
        step = Step(20, flow(20, 9, tcp_dst=port), 0x53, "drop")
        return way(Ending.DROPPED, hop(place, 1, "in error", step, drop=DropShape.EXPLICIT_DROP))

    return build


def names(found: Correlation) -> list[str]:
    return [f"{one.kind.value} {one.name}" for one in found.suspects]


def test_a_dead_server_is_what_losses_of_two_tenants_have_in_common(
    traced: Traced, sent: Trajectory, hop: MakeHop, way: Way, tunnel: Callable[[str, str], Tunnel]
) -> None:
    from_gateway = way(Ending.ON_WIRE, hop("gw1/br-int", 1, out_port=10, left_by=tunnel("gw1", "cs2")))
    elsewhere = way(Ending.HANDED_TO_PORT, hop("cs1/br-int", 1, out_port=2))
    dead = {"unreachable": {CS2: "ovs-vswitchd does not answer"}}
    found = correlate(
        [
            traced(1, sent, tenant="blue", **dead),
            traced(2, from_gateway, tenant="red", **dead),
            traced(3, elsewhere, tenant="blue"),
        ]
    )
    (suspect,) = found.suspects
    assert names(found) == ["VFD cs2/br-int"], "the most exact; its server is blamed by the same tasks"
    assert (suspect.blamed_by, suspect.losing, suspect.healthy) == ((1, 2), (1, 2), ())
    assert suspect.tenants == ("blue", "red")
    assert (found.healthy, found.undecided, found.alone) == ((3,), (), ())
    assert [(task.task_id, task.tenant) for task in found.losing] == [(1, "blue"), (2, "red")]


def test_a_link_is_blamed_by_those_that_lost_on_it_and_an_end_by_those_of_two_links(
    traced: Traced, sent: Trajectory, hop: MakeHop, way: Way, tunnel: Callable[[str, str], Tunnel]
) -> None:
    assert names(correlate([traced(1, sent), traced(2, sent)])) == ["link cs1 - cs2"]
    other = way(Ending.ON_WIRE, hop("gw1/br-int", 1, out_port=10, left_by=tunnel("gw1", "cs2")))
    found = correlate([traced(1, sent), traced(2, sent), traced(3, other)])
    assert names(found) == ["server cs2", "link cs1 - cs2"]
    assert [one.blamed_by for one in found.suspects] == [(1, 2, 3), (1, 2)]


def test_one_flow_comes_before_the_vfd_that_has_it_and_healthy_tasks_speak_for_both(
    traced: Traced, denied: Callable[[str, int], Trajectory], delivered: Trajectory
) -> None:
    same = [traced(1, denied("cs1/br-int", 443)), traced(2, denied("cs1/br-int", 443)), traced(3, delivered)]
    assert names(correlate(same)) == ["flow cs1/br-int: table=20, priority=9,tp_dst=443"]
    different = [traced(1, denied("cs1/br-int", 443)), traced(2, denied("cs1/br-int", 80)), traced(3, delivered)]
    (suspect,) = correlate(different).suspects
    assert (suspect.name, suspect.healthy) == ("cs1/br-int", (3,))


def test_what_nobody_blames_is_a_suspect_only_if_no_healthy_task_passed_it(
    traced: Traced, denied: Callable[[str, int], Trajectory], sent: Trajectory, delivered: Trajectory
) -> None:
    losing = [traced(1, denied("cs1/br-int", 443)), traced(2, sent, unreachable={CS2: "it is dead"})]
    found = correlate(losing)
    assert names(found) == ["VFD cs1/br-int"]
    assert (found.suspects[0].blamed_by, found.suspects[0].losing) == ((1,), (1, 2))
    apart = correlate([*losing, traced(3, delivered)])
    assert names(apart) == []
    assert apart.alone == (1, 2)


def test_every_loss_of_a_task_counts_and_its_other_packets_are_no_healthy_task(
    traced: Traced, denied: Callable[[str, int], Trajectory], delivered: Trajectory
) -> None:
    both = traced(1, denied("cs1/br-int", 443), denied("cs1/br-int", 443), denied("gw1/br-int", 80), delivered)
    found = correlate([both, traced(2, denied("gw1/br-int", 80))])
    assert names(found) == ["flow gw1/br-int: table=20, priority=9,tp_dst=80"]
    assert found.suspects[0].healthy == ()


def test_a_dead_source_counts_as_loss_and_doubt_as_neither(
    traced: Traced, scene: Scene, way: Way, hop: MakeHop
) -> None:
    dead = replace(scene, unreachable={CS1: "ovs-vswitchd does not answer"})
    request = TraceRequest(Filter("tcp"), Scope(source_vm="vm-cs1"))
    silent = [TracedTask(conclude(number, request, [], dead)) for number in (1, 2)]
    doubtful = traced(4, way(Ending.UNKNOWN, hop("gw1/br-int", 1)))
    verdict = replace(doubtful.result.verdict, culprit=Culprit("cs1", CS1))
    doubtful = TracedTask(replace(doubtful.result, verdict=verdict))
    never_sent = TracedTask(conclude(3, REQUEST, [], scene))
    found = correlate([*silent, never_sent, doubtful])
    assert names(found) == ["VFD cs1/br-int"]
    assert (found.healthy, found.undecided) == ((), (3, 4))


def test_one_loss_has_nothing_in_common(traced: Traced, sent: Trajectory) -> None:
    found = correlate([traced(1, sent)])
    assert (found.suspects, found.alone) == ((), (1,))
    assert correlate([]) == Correlation((), (), (), (), ())
