from collections.abc import Iterable, Mapping, Sequence

import pytest
from session_network import CS1, CS2, headers, tcp_to_db
from session_world import World

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.records import PacketInRecord
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId, Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.session import intake, outcomes, planning
from vtrace_ovs.session.commands import ReportFault
from vtrace_ovs.session.events import TaskClaimed
from vtrace_ovs.session.judging import judge
from vtrace_ovs.session.predicting import Walks
from vtrace_ovs.trajectories.stitch import Stitcher
from vtrace_ovs.walker.network import Network

POISON = 666


class PoisonedError(Exception):
    """What a packet must not be able to make us raise, and does here."""


@pytest.fixture
def two(world: World) -> World:
    """Two tasks side by side, on ports 443 and 80."""
    world.claim(tcp_to_db(packet_count=2), 1)
    world.claim(tcp_to_db(80, packet_count=2), 2)
    world.told()
    return world


def poisoned_judge(
    observed: Trajectory,
    records: Sequence[PacketInRecord],
    networks: Iterable[Network | None],
    scene: Scene,
    walks: Walks,
) -> DiagnosedPacket:
    if records[0].headers.ip_id == POISON:
        raise PoisonedError("boom\nboom")
    return judge(observed, records, networks, scene, walks)


def broken_planner(*_: object, **__: object) -> None:
    raise PoisonedError


def test_a_packet_that_breaks_the_judge_is_inconclusive_and_the_others_are_judged(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "judge", poisoned_judge)
    for number in (POISON, 1):
        two.feed_all(two.whole_way(headers(number)))
        two.feed_all(two.whole_way(headers(number + 1, port=80), slot=1))
    two.wait(6.0)
    broken, fine = two.results(1)[-1], two.results(2)[-1]
    fates = {group.verdict.code: group.verdict.disposition for group in broken.groups}
    assert fates == {CauseCode.INTERNAL_ERROR: Disposition.INCONCLUSIVE, CauseCode.NONE: Disposition.DELIVERED}
    assert any("PoisonedError: boom boom" in note for note in broken.notes)
    assert (fine.verdict.disposition, fine.packets) == (Disposition.DELIVERED, 2)
    assert two.told(ReportFault) == ["fault 1 PoisonedError"]
    assert two.clean


@pytest.mark.parametrize("stage", ["joining", "reading"])
def test_an_error_in_the_work_for_one_task_fails_that_task_alone(
    two: World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise PoisonedError

    two.feed_all(two.whole_way(headers(3, port=80), slot=1))
    with monkeypatch.context() as patched:
        if stage == "joining":
            patched.setattr(Stitcher, "stitch", broken)
            two.feed(two.entering(headers()))
        else:
            patched.setattr(intake, "record_of", broken)
            two.feed(two.entering(headers()))
    two.feed_all(two.whole_way(headers(4, port=80), slot=1))
    two.wait(1.0)
    assert two.states(1)[-1] is TaskState.FAILED
    reason = next(saved.reason for saved in two.saved() if saved.task_id == 1 and saved.state is TaskState.FAILED)
    assert reason is not None
    assert reason.startswith("an error of vtrace itself ended the task: PoisonedError")
    assert two.states(2)[-1] is TaskState.DONE
    assert two.results(2)[-1].packets == 2
    assert two.told(ReportFault) == ["fault 1 PoisonedError"]
    assert two.clean


def test_a_task_that_breaks_when_bridges_are_read_anew_fails_alone(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    built = Network.build
    calls: list[object] = []

    def once_broken(topology: Topology, tables: Mapping[BridgeId, BridgeTables], *, before: Network) -> Network:
        calls.append(tables)
        if len(calls) == 1:
            raise PoisonedError
        return built(topology, tables, before=before)

    monkeypatch.setattr(Network, "build", once_broken)
    two.rewrite(CS2, *two.production[CS2][1:])
    two.feed(two.reading(CS2))
    two.wait(0.5)
    assert two.states(1)[-1] is TaskState.FAILED
    assert two.states(2)[-1] is TaskState.ARMED
    assert two.sources(CS1)


def test_an_error_in_the_planner_fails_the_tasks_being_armed_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.claim(tcp_to_db(packet_count=1), 1)
    world.told()
    with monkeypatch.context() as patched:
        patched.setattr(planning, "plan_bridge", broken_planner)
        for number in (2, 3):
            world.feed(
                TaskClaimed(world.now, Task(number, tcp_to_db(79 + number), TaskState.ANALYSER_READY, world.now))
            )
        world.tick()
        world.tick()
    faults = world.told(ReportFault)
    assert faults
    assert {line.split()[-1] for line in faults} == {"PoisonedError"}
    for number in (2, 3):
        last = next(saved for saved in reversed(world.saved()) if saved.task_id == number)
        assert last.state is TaskState.FAILED
        assert (last.reason or "").startswith("an error of vtrace itself ended the task: PoisonedError")
        assert TaskState.ARMED not in world.states(number)
    assert world.states(1)[-1] is TaskState.ARMED
    world.feed_all(world.whole_way(headers()))
    world.wait(1.0)
    assert world.states(1)[-1] is TaskState.DONE
    assert world.result.verdict.disposition is Disposition.DELIVERED
    assert world.clean


def test_an_error_in_planning_anew_leaves_the_bridges_as_they_are_and_the_result_says_so(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(planning, "plan_bridge", broken_planner)
        two.rewrite(CS2, *two.production[CS2][1:])
        two.feed(two.reading(CS2))
        two.wait(0.5)
    assert [two.states(number)[-1] for number in (1, 2)] == [TaskState.ARMED] * 2
    assert two.told(ReportFault) == ["fault 1 PoisonedError"]
    two.feed_all(event for number in (1, 2) for event in two.whole_way(headers(number)))
    two.cancel(2)
    two.wait(1.0)
    assert two.states(1)[-1] is TaskState.DONE
    assert any("could not be instrumented anew" in note and "PoisonedError" in note for note in two.result.notes)
    assert two.clean


def test_an_error_in_ending_a_task_is_not_swallowed(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PoisonedError

    monkeypatch.setattr(type(two.session), "_ended", broken)
    two.cancel(1)
    with pytest.raises(PoisonedError):
        two.wait(5.0)
