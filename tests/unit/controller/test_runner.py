"""A whole controller in this process, without a bridge: how it ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from nobody import NOBODY, surroundings

from vtrace_ovs.controller.runner import run
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.errors import InfrastructureError, OvsdbError
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import TaskState, TraceRequest
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.storage.store import Store

REQUEST = TraceRequest(Filter("tcp", protocol=6))
SETTINGS = ControllerSettings(generation=1, accept_tasks=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "vtrace.db") as opened:
        yield opened


def test_a_controller_runs_until_its_tasks_have_ended(store: Store) -> None:
    task = store.add_task(REQUEST, at=1000.0)
    assert run(SETTINGS, surroundings(store, lambda: NOBODY), (task,))
    stored = store.task(task.id)
    assert stored is not None
    assert stored.state is TaskState.FAILED
    assert "no edge port" in (stored.reason or "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(store: Store, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def interrupting() -> tuple[Topology, tuple[str, ...]]:
        os.kill(os.getpid(), number)
        return NOBODY

    assert not run(SETTINGS, surroundings(store, interrupting))
    assert signal.getsignal(number) is before


def test_an_inventory_that_cannot_be_read_is_its_error(store: Store) -> None:
    def dead() -> tuple[Topology, tuple[str, ...]]:
        raise OvsdbError("nobody there")

    with pytest.raises(OvsdbError, match="nobody there"):
        run(SETTINGS, surroundings(store, dead))


def test_an_error_nobody_expected_is_wrapped_with_its_name(store: Store) -> None:
    def broken() -> tuple[Topology, tuple[str, ...]]:
        raise KeyError("bridges")

    with pytest.raises(InfrastructureError, match="the controller stopped: KeyError"):
        run(SETTINGS, surroundings(store, broken))


def test_a_task_still_running_when_it_must_end_is_cancelled(store: Store) -> None:
    task = store.add_task(REQUEST, at=1000.0)
    asked = Event()

    def slow() -> tuple[Topology, tuple[str, ...]]:
        os.kill(os.getpid(), signal.SIGINT)
        asked.wait(0.2)  # nobody sets it: the inventory is still being read when the signal is seen
        return NOBODY

    assert not run(SETTINGS, surroundings(store, slow), (task,))
    stored = store.task(task.id)
    assert stored is not None
    assert stored.state is TaskState.CANCELLED
