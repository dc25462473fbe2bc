"""Turns module names into other apps of the framework that run beside ours, and ends them when we end.

Under os-ken their threads are native, and its OpenFlow server never ends: a thread is a daemon when the one that starts
it is, so they are started from a daemon and cannot keep this process alive.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from vtrace_ovs.controller.framework import Framework
from vtrace_ovs.controller.seam import FRAMEWORK, App
from vtrace_ovs.errors import InfrastructureError, UsageError

START_DEADLINE = 10.0
END_DEADLINE = 1.0


@contextmanager
def companions(apps: Any, modules: Sequence[str]) -> Iterator[None]:  # noqa: ANN401 - neither framework has types
    """The apps of these modules, from started to stopped; ``apps`` is the framework's AppManager.

    Raises UsageError for a module that cannot be imported or holds no app, InfrastructureError for an app that does
    not start.
    """
    if not modules:
        yield
        return
    for name in modules:
        _require_app(name)
    apps.load_apps(list(modules))
    try:
        _aside(lambda: apps.instantiate_apps(**apps.create_contexts()), START_DEADLINE)
    except Exception as error:
        raise InfrastructureError(f"the apps of --app do not start: {type(error).__name__}: {error}") from error
    try:
        yield
    finally:
        with suppress(Exception):  # whatever their apps do wrong at the end, we end
            _aside(apps.close, END_DEADLINE)


def _require_app(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"--app {name} cannot be imported: {type(error).__name__}: {error}") from error
    here = (entry for entry in vars(module).values() if isinstance(entry, type) and entry.__module__ == name)
    if not any(issubclass(entry, App) for entry in here):
        framework = FRAMEWORK.value.replace("_", "-")
        raise UsageError(f"--app {name} holds no {framework} app; name a module with one, or another --framework")


def _aside(work: Callable[[], object], deadline: float) -> None:
    """Do it, in a daemon thread where hub threads are native. Raises what it raises, TimeoutError after a deadline."""
    if FRAMEWORK is Framework.RYU:
        work()
        return
    done: Future[None] = Future()

    def carry_out() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=carry_out, daemon=True, name="companions").start()
    done.result(deadline)
