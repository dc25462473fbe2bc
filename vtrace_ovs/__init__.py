"""VTrace for Open vSwitch: where a tenant's packets are lost in an overlay, and which flow entry lost them.

    filter text ─filters→ Filter ─instrumentation→ FlowMods ══ bridges ══> PacketInRecord
                                                                                │ trajectories
    stored flow tables + inventory ─walker→ Trajectory (predicted)    Trajectory (observed)
                                                    └──────diagnosis→ Verdict ─rendering→ tree / JSON

The nouns live in ``model``. Each arrow is one package, and no arrow imports another. Everything left of a
socket is pure; only the edge (``controller``, ``ovsdb``, ``storage``, ``lab``) does I/O, and only
``session`` composes the arrows. Read ``model`` first, then ``session``, then ``controller.app``.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["__version__", "add_vtrace", "get_vtrace_exchange", "get_vtrace_result"]

if TYPE_CHECKING:
    from vtrace_ovs.cli.api import add_vtrace, get_vtrace_exchange, get_vtrace_result


def __getattr__(name: str) -> object:
    """The calls, imported when they are first asked for: importing the package stays cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vtrace_ovs.cli.api"), name)
