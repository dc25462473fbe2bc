"""What Open vSwitch itself says of a packet (``ofproto/trace``), and whether a walk through the tables agrees."""

from dataclasses import dataclass

from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId


@dataclass(frozen=True, slots=True)
class Lookup:
    """One table search of ``ofproto/trace``. ``priority`` None: nothing matched.

    ``match`` is None where its text cannot be read; ``text`` is the line as Open vSwitch wrote it.
    """

    bridge: str
    table_id: int
    priority: int | None
    cookie: int
    match: Match | None
    text: str


@dataclass(frozen=True, slots=True)
class OvsTrace:
    """What ``ofproto/trace`` printed of one packet at one server, patch ports crossed, recirculations included.

    ``forwards`` is whether the datapath actions output it anywhere; ``notes`` are the warnings in between.
    """

    lookups: tuple[Lookup, ...]
    final_flow: str
    megaflow: str
    datapath_actions: tuple[str, ...]
    forwards: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """What lookups and actions looked at for a packet at one bridge: these bits, with the values it came in with.

    Every packet that equals it there takes the same way through these tables; its megaflow matches on no more of them.
    """

    bridge: BridgeId
    match: Match


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the walk and Open vSwitch agree from a packet's entry into one server until it leaves it.

    ``agrees`` None: they could not be compared, or no further than the walk knows. ``sentence`` says it in words;
    ``table_id`` is where they part. ``follows`` is whether the datapath does with such packets what the tables
    say (None: not known), ``datapath`` the same in words.
    """

    entry: BridgeId
    agrees: bool | None
    sentence: str
    bridge: BridgeId | None = None
    table_id: int | None = None
    trace: OvsTrace | None = None
    follows: bool | None = None
    datapath: str = ""
