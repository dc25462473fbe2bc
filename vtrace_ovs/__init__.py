"""VTrace for Open vSwitch: where a tenant's packets are lost in an overlay, and which flow entry lost them.

    filter text ─filters→ Filter ─instrumentation→ FlowMods ══ bridges ══> PacketInRecord
                                                                                │ trajectories
    stored flow tables + inventory ─walker→ Trajectory (predicted)    Trajectory (observed)
                                                    └──────diagnosis→ Verdict ─rendering→ tree / JSON

The nouns live in ``model``. Each arrow is one package, and no arrow imports another. Everything left of a
socket is pure; only the edge (``controller``, ``ovsdb``, ``storage``, ``lab``) does I/O, and only
``session`` composes the arrows. Read ``model`` first, then ``session``, then ``controller.app``.
"""

__version__ = "0.1.0"
