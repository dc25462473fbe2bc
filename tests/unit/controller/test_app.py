from collections.abc import Iterator
from pathlib import Path

import pytest
from nobody import surroundings

from vtrace_ovs.controller.app import CALM_TICK, TICK, VTraceApp
from vtrace_ovs.controller.events import EventInbox
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.errors import InfrastructureError
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import PacketIn
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.session.commands import Command
from vtrace_ovs.session.events import CopiesCrowded, Event, PacketInReceived, TaskClaimed, Tick
from vtrace_ovs.session.machine import Session
from vtrace_ovs.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "vtrace.db") as opened:
        yield opened


@pytest.fixture
def app(store: Store) -> VTraceApp:
    """Not started: what is reported waits in its inbox."""
    return VTraceApp(settings=ControllerSettings(generation=7), surroundings=surroundings(store))


def test_it_says_how_to_be_started_when_a_framework_loads_it_bare() -> None:
    with pytest.raises(InfrastructureError, match="start it with `vtrace controller`"):
        VTraceApp()


def test_settings_reach_the_planner(app: VTraceApp) -> None:
    assert app.session.planning.settings.generation == 7


def test_it_is_not_idle_while_a_task_waits_in_its_inbox(app: VTraceApp, store: Store) -> None:
    before = app.idle
    app.take(store.add_task(TraceRequest(Filter("tcp", protocol=6)), at=1000.0))
    assert (before, app.idle) == (True, False)


def test_reporting_never_blocks(app: VTraceApp) -> None:
    for number in range(1000):
        app.report(Tick(float(number)))
    assert not app.idle
    assert not isinstance(app.failure, BaseException)


def test_the_session_is_told_whether_a_copy_follows_another(app: VTraceApp, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[type[Event], bool]] = []

    def handle(_: Session, event: Event, *, copies_follow: bool) -> tuple[Command, ...]:
        told.append((type(event), copies_follow))
        return ()

    monkeypatch.setattr(Session, "handle", handle)
    bridge = BridgeId("s1", "br")
    packet_in = PacketIn(1, 0, 0, 1, (), b"", b"", 0, 1.0)
    copy = PacketInReceived(1.0, bridge, packet_in, Headers("02:00:00:00:00:01", "02:00:00:00:00:02", 0x88B5, 60))
    for event in (copy, copy, Tick(2.0), CopiesCrowded(3.0, bridge)):
        app.report(event)
    app._on_inbox(EventInbox())  # noqa: SLF001 - only the framework calls it, and this app is not started
    assert told == [
        (CopiesCrowded, True),
        (PacketInReceived, True),
        (PacketInReceived, False),
        (Tick, False),
    ]


def test_crowds_nothing_is_done_about_keep_nothing_else_waiting(
    app: VTraceApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that get their turn may each tell of a crowd again."""
    crowd = CopiesCrowded(1.0, BridgeId("s1", "br"))
    told: list[type[Event]] = []
    more = [crowd] * 10

    def handle(_: Session, event: Event, *, copies_follow: bool) -> tuple[Command, ...]:  # noqa: ARG001 - as there
        told.append(type(event))
        return ()

    def sleep(_: float) -> None:
        if more:
            app.report(more.pop())

    monkeypatch.setattr(Session, "handle", handle)
    monkeypatch.setattr("vtrace_ovs.controller.seam.hub.sleep", sleep)
    app.report(Tick(1.0))
    app.report(crowd)
    app._on_inbox(EventInbox())  # noqa: SLF001 - only the framework calls it, and this app is not started
    assert told.index(Tick) < 10


def test_it_ticks_seldom_while_nothing_is_to_happen_soon(
    app: VTraceApp, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 1:
            app.session.handle(TaskClaimed(1.0, store.add_task(TraceRequest(Filter("tcp", protocol=6)), at=1.0)))
        else:
            app._ticking = False  # noqa: SLF001 - as `shut_down` does, which also ends threads that were not started

    monkeypatch.setattr("vtrace_ovs.controller.seam.hub.sleep", sleep)
    app._tick()  # noqa: SLF001 - the hub thread that `start` starts
    assert rests == [CALM_TICK, TICK]
