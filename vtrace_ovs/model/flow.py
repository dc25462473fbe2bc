"""Flow entries, groups and meters as a bridge reports them, and the FlowMods and MeterMods we send."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from vtrace_ovs.model.actions import Action, Instruction
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.match import Match


@quickly_built
@dataclass(frozen=True, slots=True)
class FlowKey:
    """What identifies a flow inside a bridge: OpenFlow replaces a flow with the same key."""

    table_id: int
    priority: int
    match: Match


@quickly_built
@dataclass(frozen=True, slots=True)
class Flow:
    """One flow entry. Counters and ages are as of the moment it was read."""

    table_id: int
    priority: int
    match: Match
    instructions: tuple[Instruction, ...]
    cookie: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: int = 0
    n_packets: int = field(default=0, compare=False)
    n_bytes: int = field(default=0, compare=False)
    duration: float = field(default=0.0, compare=False)

    @property
    def key(self) -> FlowKey:
        """Table, priority and match."""
        return FlowKey(self.table_id, self.priority, self.match)


class FlowChange(Enum):
    """What was done to a flow entry. One that is put in the place of another with the same key is added."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"


ALL_TABLES = 0xFF
"""OFPTT_ALL, where a table is asked for."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Flows of which it is to be told when somebody does this to one: all of a table that match on at least this."""

    table_id: int
    match: Match = field(default_factory=Match)
    changes: frozenset[FlowChange] = frozenset(FlowChange)


@dataclass(frozen=True, slots=True)
class ChangedFlow:
    """What somebody else than us did to a flow, and the cookie it has by now, or had when it was removed."""

    change: FlowChange
    key: FlowKey
    cookie: int


class GroupType(Enum):
    """OpenFlow 1.3.5 §5.6.1."""

    ALL = 0
    SELECT = 1
    INDIRECT = 2
    FAST_FAILOVER = 3


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of a group."""

    weight: int
    watch_port: int
    watch_group: int
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group as described by the bridge; ``raw`` is its wire form."""

    group_id: int
    type: GroupType
    buckets: tuple[Bucket, ...]
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class MeterEntry:
    """A meter with one drop band. ``rate`` and ``burst`` are in packets/s (``packets``) or kbit/s."""

    meter_id: int
    rate: int
    burst: int
    packets: bool
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class MeterCounters:
    """What a meter has let in and dropped so far (packets)."""

    meter_id: int
    packets_in: int
    packets_dropped: int


@dataclass(frozen=True, slots=True)
class PortDescription:
    """A port as OpenFlow describes it. ``no_receive``, ``no_forward``: packets are dropped that come, or go, by it."""

    ofport: int
    name: str
    hardware_address: str
    link_down: bool
    admin_down: bool
    no_receive: bool = False
    no_forward: bool = False


@dataclass(frozen=True, slots=True)
class PortCounters:
    """What a port has carried and dropped so far (packets); None is what its driver does not count.

    ``queue_sent`` and ``queue_dropped`` are those of its QoS queues together; None where it has none.
    """

    ofport: int
    rx_packets: int | None
    tx_packets: int | None
    rx_dropped: int | None
    tx_dropped: int | None
    queue_sent: int | None = None
    queue_dropped: int | None = None


@dataclass(frozen=True, slots=True)
class QueueCounters:
    """What one QoS queue of a port has sent and dropped so far (packets)."""

    ofport: int
    queue_id: int
    sent: int
    dropped: int


def with_queues(ports: Iterable[PortCounters], queues: Iterable[QueueCounters]) -> tuple[PortCounters, ...]:
    """The counters of ports with those of their queues."""
    sums: dict[int, tuple[int, int]] = {}
    for queue in queues:
        sent, dropped = sums.get(queue.ofport, (0, 0))
        sums[queue.ofport] = sent + queue.sent, dropped + queue.dropped
    return tuple(
        replace(port, queue_sent=sums[port.ofport][0], queue_dropped=sums[port.ofport][1])
        if port.ofport in sums
        else port
        for port in ports
    )


@dataclass(frozen=True, slots=True)
class BridgeTables:
    """Everything that decides a packet's way through one bridge, read at one moment (``read_at``, Unix seconds)."""

    dpid: int
    read_at: float
    flows: tuple[Flow, ...]
    groups: tuple[GroupEntry, ...] = ()
    meters: tuple[MeterEntry, ...] = ()
    ports: tuple[PortDescription, ...] = ()


class FlowModCommand(Enum):
    """OpenFlow 1.3.5 §7.3.4.1."""

    ADD = 0
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


@quickly_built
@dataclass(frozen=True, slots=True)
class FlowMod:
    """A change to one bridge's flow tables. For DELETE, ``cookie_mask`` is always non-zero: we only touch our own."""

    command: FlowModCommand
    table_id: int
    priority: int
    match: Match
    cookie: int
    cookie_mask: int = 0
    instructions: tuple[Instruction, ...] = ()
    hard_timeout: int = 0

    @property
    def key(self) -> FlowKey:
        """Table, priority and match."""
        return FlowKey(self.table_id, self.priority, self.match)


class MeterModCommand(Enum):
    """OpenFlow 1.3.5 §7.3.4.6."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


@dataclass(frozen=True, slots=True)
class MeterMod:
    """A change to one bridge's meters: a packets-per-second drop band."""

    command: MeterModCommand
    meter_id: int
    rate: int = 0
    burst: int = 0
