"""Turns the chosen framework into one set of names; besides ``framework``, nothing else imports Ryu or os-ken."""

import importlib
import socket
from typing import Any

from vtrace_ovs.controller.framework import Framework, prefer

FRAMEWORK = prefer(None)


def _module(path: str) -> Any:  # noqa: ANN401 - neither framework has types
    return importlib.import_module(f"{FRAMEWORK.value}.{path}")


_app_manager = _module("base.app_manager")
hub = _module("lib.hub")
App: Any = _app_manager.RyuApp if FRAMEWORK is Framework.RYU else _app_manager.OSKenApp
AppManager: Any = _app_manager.AppManager
EventBase: Any = _module("controller.event").EventBase
set_ev_cls: Any = _module("controller.handler").set_ev_cls


def cooperative(sock: socket.socket) -> Any:  # noqa: ANN401 - a GreenSocket under eventlet
    """A socket that blocks only its own hub thread."""
    if FRAMEWORK is Framework.RYU:
        return importlib.import_module("eventlet.greenio").GreenSocket(sock)
    return sock
