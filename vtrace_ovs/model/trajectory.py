"""The way of one packet: hops (VFDs) of steps (tables). Observed and predicted ways are the same type (design D4)."""

from dataclasses import dataclass
from enum import Enum

from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.packet import FiveTuple, Headers, Tunnel
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.topology import BridgeId

TO_CONTROLLER = "controller"
"""The actions of an observed step that left the packet to the bridge's own controller, and to nobody else."""


class Origin(Enum):
    """Whether packets were seen on this way, or the stored tables say they would take it."""

    OBSERVED = "observed"
    PREDICTED = "predicted"


class Ending(Enum):
    """How a packet's way ends, as far as this evidence alone goes.

    OPEN: the last thing known is an ``in`` (lost in that VFD, or its log was lost).
    ON_WIRE: handed to a tunnel or patch port, and no ``in`` at the next VFD.
    """

    HANDED_TO_PORT = "handed to port"
    EXITED = "exited"
    DROPPED = "dropped"
    OPEN = "open"
    ON_WIRE = "on wire"
    LOOPED = "looped"
    UNKNOWN = "unknown"


class DropShape(Enum):
    """What exactly stopped a packet in a table walk (peers' trap T32)."""

    NO_MATCH = "no match"
    TABLE_MISS_FLOW = "table-miss flow"
    EXPLICIT_DROP = "explicit drop"
    NO_OUTPUT = "no output action"
    OUTPUT_TO_INGRESS = "output to ingress port suppressed"
    PORT_DOWN = "port down"
    PORT_GONE = "port does not exist"
    TTL_EXCEEDED = "TTL exceeded"
    METER = "meter"
    NO_LIVE_BUCKET = "no live bucket"
    RESUBMIT_LIMIT = "resubmit limit"
    RECURSION_LIMIT = "recursion too deep"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A flow that would have matched but for some fields (idea N1). ``differences``: (field, wanted, had).

    Without any it matches as well, and has the priority of the one that won.
    """

    flow: FlowKey
    cookie: int
    differences: tuple[tuple[str, str, str], ...]


@quickly_built
@dataclass(frozen=True, slots=True)
class Step:
    """One table lookup. ``flow`` None means nothing matched. ``actions`` is in OVS's own words."""

    table_id: int
    flow: FlowKey | None
    cookie: int | None
    actions: str
    ambiguous: bool = False
    near_misses: tuple[NearMiss, ...] = ()


@quickly_built
@dataclass(frozen=True, slots=True)
class HeaderChange:
    """A header field one hop rewrote."""

    field: str
    old: str
    new: str


@quickly_built
@dataclass(frozen=True, slots=True)
class Hop:
    """One visit to one VFD. ``parent`` is the index of the hop it came from (None for the first).

    ``arrived_by``/``left_by`` are the tunnels on either side. ``seen`` holds which of in/out/error was logged (empty
    when predicted); ``inferred`` means that no record of this hop exists but a later hop proves it. ``drop`` and the
    last step say why it stopped here, if it did. ``meters`` are the meter ids it passed through.

    A visit with several outputs (flood, mirror, clone) is several hops that differ in ``out_port`` and ``left_by``;
    ``ending`` is set on the hops no other hop came from: how this branch ends.

    ``deciding`` is the index in ``steps`` of the lookup whose flow (or lack of one) sent or stopped the packet, None
    for the last one; ``note`` says in words why a predicted branch ends as it does where no other field does.
    ``unmarked`` means that it was seen leaving without a mark, so that no later VFD would have logged it.
    ``aside`` means that it was seen dropped in one branch of the pipeline, and is not known to have left by another.
    """

    bridge: BridgeId
    dscp_mark: int
    in_port: int | None
    out_port: int | None = None
    parent: int | None = None
    arrived_by: Tunnel | None = None
    left_by: Tunnel | None = None
    headers_in: Headers | None = None
    headers_out: Headers | None = None
    changes: tuple[HeaderChange, ...] = ()
    steps: tuple[Step, ...] = ()
    seen: frozenset[Loc] = frozenset()
    inferred: bool = False
    drop: DropShape | None = None
    unsupported: str | None = None
    meters: tuple[int, ...] = ()
    entered_at: float | None = None
    left_at: float | None = None
    ending: Ending | None = None
    deciding: int | None = None
    note: str | None = None
    unmarked: bool = False
    aside: bool = False


@quickly_built
@dataclass(frozen=True, slots=True)
class Trajectory:
    """One packet's way through the overlay. ``occurrence`` tells packets with equal ``packet_id`` apart, from 0.

    ``ambiguous`` means that equal packets could not be told apart, so hops may belong to a twin. Where the way
    branches, the branch that counts most for the tenant is last, and ``ending`` is that branch's. ``five_tuple`` is
    what it entered with; ``nat_key`` the five-tuple it was last seen with when NAT changed it (paper, Table 2).
    """

    task_id: int
    packet_id: str
    occurrence: int
    origin: Origin
    five_tuple: FiveTuple | None
    hops: tuple[Hop, ...]
    ending: Ending
    ambiguous: bool = False
    nat_key: FiveTuple | None = None
    first_seen: float | None = None
    last_seen: float | None = None

    @property
    def last(self) -> Hop | None:
        """The last hop, if there is any."""
        return self.hops[-1] if self.hops else None
