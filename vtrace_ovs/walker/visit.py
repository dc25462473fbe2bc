"""Turns what happens to a packet inside one bridge into nouns: emissions, stops and recirculated copies."""

from dataclasses import dataclass, field
from typing import NamedTuple

from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.entry import Lookup
from vtrace_ovs.walker.state import PacketState


class Emission(NamedTuple):
    """The packet as it leaves by a port, cut to ``max_len`` bytes unless that is 0.

    ``found`` are the searches so far; ``step`` is the one whose flow sent it.
    """

    port: int
    state: PacketState
    found: tuple[Lookup, ...]
    step: int
    meters: tuple[int, ...]
    max_len: int = 0


class Stop(NamedTuple):
    """Why the packet, or one copy, went no further. ``port`` is set for an output that failed.

    ``key`` is the packed packet as the search ``step`` saw it.

    ``shape`` None means that the stored tables do not decide it. ``detail`` is then the reason; for UNSUPPORTED it is
    the action's name, and ``note`` what it may do.
    """

    shape: DropShape | None
    state: PacketState
    found: tuple[Lookup, ...]
    step: int
    key: int
    meters: tuple[int, ...]
    port: int | None = None
    detail: str | None = None
    note: str | None = None

    @property
    def undecided(self) -> bool:
        """Whether the stored tables do not decide it, or this walker cannot."""
        return self.shape is None or self.shape is DropShape.UNSUPPORTED


class Visit(NamedTuple):
    """Everything one bridge does with one packet. ``stops`` is never empty when ``emissions`` is.

    ``searches`` are all its table searches in the order OVS makes them, recirculated copies last.
    """

    emissions: tuple[Emission, ...]
    stops: tuple[Stop, ...]
    searches: tuple[Lookup, ...]


@dataclass(slots=True, eq=False)
class Fork:
    """A recirculated copy: a pass of its own, from ``table_id``, with everything found so far.

    ``keys`` are the packed packets as the searches that found it saw them.
    """

    table_id: int
    state: PacketState
    found: list[Lookup] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    meters: list[int] = field(default_factory=list)
    recirculations: int = 0
