"""What a session asks of the outside world: one frozen value per request."""

from dataclasses import dataclass

from vtrace_ovs.model.cost import Moment
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.datapath import DatapathQuestion
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables, FlowMod, MeterMod, Watch
from vtrace_ovs.model.postcard import Segment
from vtrace_ovs.model.records import CounterSample, PacketInRecord
from vtrace_ovs.model.task import IntentDraft, TaskState
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import TaskResult

UNAWAITED = -1
"""The batch number of programs whose confirmation nobody waits for: no transition has it."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Hold a conversation with each of these bridges from now on; answered by ``BridgeUp`` or ``BridgeDown``.

    Whenever one is lost it is sought again, and both come again, until ``HangUp``.
    """

    bridges: tuple[BridgeId, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the conversations with these bridges. Nothing is answered, and nothing is told of them any more."""

    bridges: tuple[BridgeId, ...]


@dataclass(frozen=True, slots=True)
class ReadBridge:
    """Read flows, groups, meters, ports and meter counters; answered by ``BridgeRead`` or ``BridgeDown``."""

    bridge: BridgeId


@dataclass(frozen=True, slots=True)
class ReadCounters:
    """Read the counters of our own flows and of all meters; answered by ``CountersRead`` or ``BridgeDown``."""

    bridge: BridgeId


@dataclass(frozen=True, slots=True)
class WriteIntents:
    """Write intents; answered by ``IntentsWritten`` with the same batch number."""

    batch: int
    intents: tuple[IntentDraft, ...]


@dataclass(frozen=True, slots=True)
class EraseIntents:
    """The undo of these tasks' intents on this bridge is confirmed."""

    bridge: BridgeId
    task_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Send these changes to a bridge in order, then a barrier; answered by ``Programmed`` or ``BridgeDown``.

    With ``touch``, a flow of ours that is there by then, the answer comes only when the datapath follows the tables.
    ``burst`` says how many copies of traced packets the bridge lets through at once, where that is set.
    """

    bridge: BridgeId
    batch: int
    mods: tuple[FlowMod | MeterMod, ...]
    touch: FlowMod | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class WatchFlows:
    """Have the bridge tell of these flows, and of no others, when somebody changes one: ``FlowsChanged``, each time.

    Nothing waits for it: a bridge that cannot tell, or is not connected, is looked at now and then as any other.
    """

    bridge: BridgeId
    watches: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class ObserveServers:
    """Read what the servers of these bridges (one each) carry; answered by ``ServerObserved`` for each, some time.

    Nothing waits for it but the end of the task, and that not for long. ``zones``: and which connection tracking zones
    are full, which costs a server with a userspace datapath more than all the rest.
    """

    task_id: int
    moment: Moment
    bridges: tuple[Bridge, ...]
    zones: bool = False


@dataclass(frozen=True, slots=True)
class NameFlows:
    """Ask the database behind OVN's pipeline what these cookies stand for; answered by ``FlowsNamed``."""

    cookies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SearchUnderlay:
    """Look for who drops traffic of these filters in these segments, for so many ``seconds``.

    Answered by ``UnderlaySearched``; nothing waits for it but the end of the task, and that not for long.
    """

    task_id: int
    segments: tuple[Segment, ...]
    filters: tuple[Filter, ...]
    bridges: tuple[Bridge, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ReadDatapaths:
    """Hold the datapaths of these bridges' servers against their flow tables; answered by ``DatapathsRead``.

    Nothing waits for it but a ``SearchUnderlay`` and the end of the task, and these not for long.
    """

    task_id: int
    questions: tuple[tuple[Bridge, DatapathQuestion], ...]


@dataclass(frozen=True, slots=True)
class SaveTaskState:
    """A task moved on."""

    task_id: int
    state: TaskState
    at: float
    reason: str | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class SaveSnapshot:
    """Keep the tables a task is judged by."""

    task_id: int
    bridge: BridgeId
    tables: BridgeTables


@dataclass(frozen=True, slots=True)
class SaveRecords:
    """Keep packet-in records."""

    records: tuple[PacketInRecord, ...]


@dataclass(frozen=True, slots=True)
class SaveSamples:
    """Keep counter samples."""

    samples: tuple[CounterSample, ...]


@dataclass(frozen=True, slots=True)
class SaveTrajectories:
    """Keep every packet's way, observed and predicted, once the task is decided."""

    task_id: int
    trajectories: tuple[Trajectory, ...]


@dataclass(frozen=True, slots=True)
class SaveResult:
    """Keep what is known of a task so far (``final`` False) or for good."""

    result: TaskResult
    final: bool


@dataclass(frozen=True, slots=True)
class SaveCounts:
    """Keep what a task has counted, once it has ended."""

    report: CountReport


@dataclass(frozen=True, slots=True)
class ReportFault:
    """Log a fault of this tool, with where it happened; it was confined to this task."""

    task_id: int
    error: Exception


Command = (
    Connect
    | HangUp
    | ReadBridge
    | ReadCounters
    | WriteIntents
    | EraseIntents
    | Program
    | WatchFlows
    | ObserveServers
    | NameFlows
    | SearchUnderlay
    | ReadDatapaths
    | SaveTaskState
    | SaveSnapshot
    | SaveRecords
    | SaveSamples
    | SaveTrajectories
    | SaveResult
    | SaveCounts
    | ReportFault
)
