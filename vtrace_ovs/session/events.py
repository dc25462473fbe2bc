"""What the outside world tells a session: one frozen value per happening, each with its time (Unix seconds)."""

from dataclasses import dataclass

from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.cost import Moment, ServerReading
from vtrace_ovs.model.datapath import DatapathReading
from vtrace_ovs.model.flow import BridgeTables, ChangedFlow, Flow, MeterCounters, PortCounters
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.postcard import DownPort, Passage, Postcard
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.model.records import PacketIn
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import BridgeId, Topology


@dataclass(frozen=True, slots=True)
class InventoryRead:
    """The inventory, as all reachable OVSDB servers give it. ``problems`` names what could not be read."""

    at: float
    topology: Topology
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BridgeUp:
    """A bridge answers over OpenFlow."""

    at: float
    bridge: BridgeId
    dpid: int


@dataclass(frozen=True, slots=True)
class BridgeDown:
    """A bridge does not answer, or stopped answering; ``reason`` is a sentence."""

    at: float
    bridge: BridgeId
    reason: str


@dataclass(frozen=True, slots=True)
class TaskClaimed:
    """A new task was taken from the database; its state there is ``analyser ready``."""

    at: float
    task: Task


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The operator wants a task to end now."""

    at: float
    task_id: int


@dataclass(frozen=True, slots=True)
class BridgeRead:
    """The answer to ``ReadBridge``: its tables (ours included) and what its meters, ports and queues have counted."""

    at: float
    bridge: BridgeId
    tables: BridgeTables
    meters: tuple[MeterCounters, ...]
    ports: tuple[PortCounters, ...] = ()


@dataclass(frozen=True, slots=True)
class CountersRead:
    """The answer to ``ReadCounters``: our own flows, with their counters, and what all meters have counted so far."""

    at: float
    bridge: BridgeId
    flows: tuple[Flow, ...]
    meters: tuple[MeterCounters, ...]


@dataclass(frozen=True, slots=True)
class FlowsChanged:
    """Somebody else changed flows of those that ``WatchFlows`` names: all at once, or some of them."""

    at: float
    bridge: BridgeId
    flows: tuple[ChangedFlow, ...]


@dataclass(frozen=True, slots=True)
class IntentsWritten:
    """The intents of a program are safe in the database."""

    at: float
    batch: int


@dataclass(frozen=True, slots=True)
class Programmed:
    """The barrier behind a ``Program`` came back. ``errors`` are the bridge's refusals, in words."""

    at: float
    bridge: BridgeId
    batch: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerObserved:
    """What one server of an ``ObserveServers`` said; ``reading`` is None when it could not be asked."""

    at: float
    task_id: int
    moment: Moment
    node: str
    reading: ServerReading | None


@quickly_built
@dataclass(frozen=True, slots=True)
class PacketInReceived:
    """A copy arrived from a bridge; ``headers`` are those of its frame."""

    at: float
    bridge: BridgeId
    packet_in: PacketIn
    headers: Headers


@dataclass(frozen=True, slots=True)
class CopiesCrowded:
    """Copies come from a bridge faster than our meter there lets them through for long. It is told before they are."""

    at: float
    bridge: BridgeId


@dataclass(frozen=True, slots=True)
class FlowsNamed:
    """The answer to ``NameFlows``: what is known of the cookies that were asked for."""

    at: float
    cookies: tuple[int, ...]
    named: tuple[NamedFlow, ...]


@dataclass(frozen=True, slots=True)
class UnderlaySearched:
    """A ``SearchUnderlay`` is over: what underlay bridges drop, which of their ports are down, and what passed them."""

    at: float
    task_id: int
    cards: tuple[Postcard, ...]
    down: tuple[DownPort, ...] = ()
    passed: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class DatapathsRead:
    """The answer to ``ReadDatapaths``, one reading for each question."""

    at: float
    task_id: int
    readings: tuple[DatapathReading, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    at: float


Event = (
    InventoryRead
    | BridgeUp
    | BridgeDown
    | TaskClaimed
    | CancelRequested
    | BridgeRead
    | CountersRead
    | FlowsChanged
    | CopiesCrowded
    | IntentsWritten
    | Programmed
    | ServerObserved
    | PacketInReceived
    | FlowsNamed
    | UnderlaySearched
    | DatapathsRead
    | Tick
)
