"""Turns "Ryu, or os-ken" into the one that is imported (design D10).

A framework that is already imported wins; otherwise the one asked for, else Ryu when it is installed, else os-ken.
Ryu 4.34 expects ``eventlet.wsgi.ALREADY_HANDLED``, gone from current eventlet, before its ``wsgi`` is imported.
Nothing is monkey-patched: native threads do the blocking work.
"""

import importlib
import os
import sys
import warnings
from enum import Enum
from importlib.util import find_spec

from vtrace_ovs.errors import InfrastructureError


class Framework(Enum):
    """The two frameworks the controller runs under, by package name."""

    RYU = "ryu"
    OS_KEN = "os_ken"


def _already_imported() -> Framework | None:
    return next((choice for choice in Framework if f"{choice.value}.base.app_manager" in sys.modules), None)


def installed() -> tuple[Framework, ...]:
    """The frameworks that could be imported, the preferred one first."""
    return tuple(choice for choice in Framework if find_spec(choice.value) is not None)


def prefer(choice: Framework | None) -> Framework:
    """Import this framework (None: the preferred one) so that the controller is built on it.

    Raises InfrastructureError when it is not installed, or when the other one is already in use in this process.
    """
    loaded = _already_imported()
    wanted = choice or loaded or next(iter(installed()), None)
    if wanted is None or wanted not in installed():
        name = "ryu or os-ken" if wanted is None else wanted.value.replace("_", "-")
        raise InfrastructureError(f"{name} is not installed: pip install 'vtrace-ovs[ryu]' or os-ken")
    if loaded not in (None, wanted):
        raise InfrastructureError(f"this process already runs {loaded}, it cannot load {wanted.value} as well")
    with warnings.catch_warnings():
        # eventlet says it is deprecated, and Ryu 4.34 has "is not" with literals: neither is ours to mend.
        warnings.simplefilter("ignore")
        if wanted is Framework.RYU:
            # No name is ever looked up here, and eventlet's own resolver takes longer to import than Ryu does.
            os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
            eventlet_wsgi = importlib.import_module("eventlet.wsgi")
            if not hasattr(eventlet_wsgi, "ALREADY_HANDLED"):
                eventlet_wsgi.ALREADY_HANDLED = object()  # type: ignore[attr-defined]
        importlib.import_module(f"{wanted.value}.base.app_manager")
    return wanted
