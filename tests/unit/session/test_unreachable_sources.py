"""A task none of whose source bridges can be attached fails with their reasons; it does not end as "unseen"."""

from ipaddress import IPv4Network

from vtrace_ovs.instrumentation.plan import Settings
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.profile import GENERIC_PROFILE
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    Node,
    Port,
    PortKind,
    ServiceController,
    Topology,
)
from vtrace_ovs.session.commands import Command, SaveTaskState
from vtrace_ovs.session.events import BridgeDown, BridgeUp, InventoryRead, TaskClaimed, Tick
from vtrace_ovs.session.judging import scene_of
from vtrace_ovs.session.machine import Session
from vtrace_ovs.session.settings import SessionSettings

NOW = 1000.0


def _bridge_id(number: int) -> BridgeId:
    return BridgeId(f"s{number}", "br")


def _topology(bridges: int) -> Topology:
    numbers = range(1, bridges + 1)
    vm = (Port(1, "vm", PortKind.EDGE, vm="vm"),)
    return Topology(
        tuple(Node(f"s{number}", f"tcp:192.0.2.{number}:6640", ()) for number in numbers),
        tuple(
            Bridge(_bridge_id(number), number, BridgeRole.VSWITCH, vm, ServiceController(f"tcp:192.0.2.{number}:6640"))
            for number in numbers
        ),
    )


def _task() -> Task:
    request = TraceRequest(Filter("ip,nw_src=10.0.1.1", source=IPv4Network("10.0.1.1/32")))
    return Task(1, request, TaskState.ANALYSER_READY, NOW)


def _session(bridges: int) -> Session:
    session = Session(SessionSettings(), Settings(controller_id=7, generation=3), lambda _: GENERIC_PROFILE)
    session.handle(InventoryRead(NOW, _topology(bridges)))
    return session


def _saved(commands: tuple[Command, ...]) -> list[SaveTaskState]:
    return [command for command in commands if isinstance(command, SaveTaskState)]


def _claimed(session: Session, at: float = NOW) -> None:
    assert _saved(session.handle(TaskClaimed(at, _task()))) == []


def test_the_reason_of_the_only_source_bridge_is_the_tasks_reason() -> None:
    session = _session(1)
    _claimed(session)
    (saved,) = _saved(session.handle(BridgeDown(NOW, _bridge_id(1), "bridge br speaks only OpenFlow10")))
    assert (saved.state, saved.reason) == (TaskState.FAILED, "s1/br: bridge br speaks only OpenFlow10")


def test_many_reasons_are_cut_short() -> None:
    session = _session(6)
    _claimed(session)
    commands = [session.handle(BridgeDown(NOW, _bridge_id(number), f"reason {number}")) for number in range(1, 7)]
    (saved,) = _saved(commands[-1])
    assert saved.reason == "s1/br: reason 1; s2/br: reason 2; s3/br: reason 3; and 3 more bridges do not answer"


def test_one_source_bridge_is_enough() -> None:
    session = _session(2)
    _claimed(session)
    assert _saved(session.handle(BridgeDown(NOW, _bridge_id(1), "dead"))) == []
    (saved,) = _saved(session.handle(BridgeUp(NOW, _bridge_id(2), 2)))
    assert saved.state is TaskState.ARMING


def test_a_bridge_that_stays_unknown_is_waited_for_and_then_named() -> None:
    session = _session(1)
    _claimed(session)
    (saved,) = _saved(session.handle(Tick(NOW + SessionSettings().inventory_deadline + 1)))
    assert (saved.state, saved.reason) == (TaskState.FAILED, "s1/br: it has not answered yet")


def test_a_task_that_waited_long_for_a_controller_still_waits_for_its_bridges() -> None:
    session = _session(1)
    _claimed(session, NOW + 3600)
    (saved,) = _saved(session.handle(BridgeUp(NOW + 3601, _bridge_id(1), 1)))
    assert saved.state is TaskState.ARMING


def test_a_bridge_that_came_up_after_arming_was_not_watched_from_the_start() -> None:
    session = _session(2)
    _claimed(session)
    session.handle(BridgeUp(NOW, _bridge_id(1), 1))
    session.handle(BridgeDown(NOW, _bridge_id(2), "dead"))
    session.handle(BridgeUp(NOW + 5, _bridge_id(2), 2))
    scene = scene_of(session.fleet, {}, {}, {}, hop_limit=5, armed_at=NOW + 1)
    assert list(scene.unobserved) == [_bridge_id(2)]
