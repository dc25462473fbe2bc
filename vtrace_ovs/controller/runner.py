"""Starts the Ryu app in this process, runs it until told otherwise, and leaves no bridge with anything of ours."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, time
from types import FrameType
from typing import Any

from vtrace_ovs.controller.app import VTraceApp
from vtrace_ovs.controller.cleaning import clean_all
from vtrace_ovs.controller.companions import companions
from vtrace_ovs.controller.seam import AppManager, hub
from vtrace_ovs.controller.settings import ControllerSettings, Surroundings
from vtrace_ovs.errors import InfrastructureError, VtraceError
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.session.events import CancelRequested

WATCH_INTERVAL, IDLE_INTERVAL = 0.02, 0.1
"""Seconds between looks whether a run is over, and whether a controller without an end of its own was interrupted."""
CLEAN_DEADLINE = 5.0


def run(settings: ControllerSettings, surroundings: Surroundings, tasks: tuple[Task, ...] = ()) -> bool:
    """Run a controller until ``tasks`` have ended, or for ever when there are none; then clean the bridges.

    True when all have ended, False after SIGINT or SIGTERM. Raises the error that stopped it, if one did.
    """
    wanted = {task.id for task in tasks}
    with _signals() as interrupted, _running(settings, surroundings) as app:
        for task in tasks:
            app.take(task)
        while not wanted or not wanted <= app.ended:
            if interrupted():
                return False
            if app.failure is not None:
                _raise(app.failure)
            hub.sleep(WATCH_INTERVAL if wanted else IDLE_INTERVAL)
        return True


@contextmanager
def _running(settings: ControllerSettings, surroundings: Surroundings) -> Iterator[VTraceApp]:
    apps = AppManager.get_instance()
    with companions(apps, settings.apps):
        app = apps.instantiate(VTraceApp, settings=settings, surroundings=surroundings)
        app.start()
        gc.freeze()  # a full collection over all that was imported would hold up a verdict for a tenth of a second
        try:
            yield app
        finally:
            gc.unfreeze()
            ended = _end_tasks(app)
            app.shut_down()
            apps.uninstantiate(app.name)
            if not ended:
                _clean(app)


def _end_tasks(app: VTraceApp) -> bool:
    """Cancel every task and wait; whether the bridges carry nothing of ours, as far as they answered in time.

    A task that was being claimed just now starts after the others were cancelled: it is cancelled as well.
    """
    deadline = monotonic() + CLEAN_DEADLINE
    cancelled: set[int] = set()
    app.refuse_tasks()
    while not (idle := app.idle) and app.failure is None and monotonic() < deadline:
        for task_id in set(app.session.runs) - cancelled:
            cancelled.add(task_id)
            app.report(CancelRequested(time(), task_id))
        hub.sleep(WATCH_INTERVAL)
    return idle


def _clean(app: VTraceApp) -> None:
    """The session could not end by itself: remove what is ours from every bridge, and say so of its tasks."""
    store = app.surroundings.store
    clean_all(app.session.fleet.topology, store, app.settings, app.surroundings.remote, time())
    for task_id in app.session.runs:
        store.set_state(task_id, TaskState.FAILED, time(), reason=f"the controller stopped: {app.failure}")


def _raise(failure: BaseException) -> None:
    if isinstance(failure, VtraceError):
        raise failure
    raise InfrastructureError(f"the controller stopped: {type(failure).__name__}: {failure}") from failure


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question, so that no signal lands in the middle of a change."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)

    before: dict[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
