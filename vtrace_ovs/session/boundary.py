"""What a controller needs of the other edges, as Protocols: ``cli`` hands the real ones in, so edges never meet."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from vtrace_ovs.model.cost import ServerReading
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.datapath import DatapathQuestion, DatapathReading
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.model.records import CounterSample, PacketInRecord
from vtrace_ovs.model.task import Intent, IntentDraft, Task, TaskState
from vtrace_ovs.model.topology import Bridge, BridgeId, Topology
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import TaskResult

InventorySource = Callable[[], tuple[Topology, tuple[str, ...]]]
"""Reads the inventory now, blocking: the topology, and a sentence per unreadable server. Raises OvsdbError."""

LivenessProbe = Callable[[Bridge], str | None]
"""Why a bridge does not answer, as a sentence; None when it does. Never raises."""


class RemoteAttachment(Protocol):
    """Makes remote bridges dial this controller (design D1). Both calls block and may raise OvsdbError."""

    def attach(self, ovsdb: str, bridges: Sequence[str], target: str) -> None:
        """Add a service Controller row for ``target`` to these bridges of one OVSDB, to all of them or to none."""

    def detach(self, ovsdb: str, target: str | None, bridges: Sequence[str] | None = None) -> tuple[str, ...]:
        """Remove our rows from one OVSDB (only those for ``target`` and of ``bridges``, unless None).

        Returns the bridges that had one.
        """


SocketWrapper = Callable[[Any], Any]
"""Makes a socket block no more than the one who waits on it."""

RoundWaiter = Callable[[Bridge, int, Callable[[], None], SocketWrapper], bool]
"""Blocks while ovs-vswitchd brings its datapath in line so many times, calling the function (which changes a flow) each
time until it has; False if it cannot be asked. Never raises."""


FlowNamer = Callable[[Collection[int]], tuple[NamedFlow, ...]]
"""What the database behind a pipeline says of these cookies, as far as it can name them. Blocks; never raises."""


class ServerObserver(Protocol):
    """Reads a bridge's server, blocking: its datapaths and processor time; None if it says nothing. Never raises."""

    def __call__(self, bridge: Bridge, *, zones: bool) -> ServerReading | None:
        """``zones``: with the connection tracking zones that are full."""


DatapathReader = Callable[[Bridge, DatapathQuestion], DatapathReading]
"""Holds the datapath of a bridge's server against its flow tables. Blocks; never raises."""


class Writings(Protocol):
    """News of a database, for one thread to wait for; another may close them."""

    def wait(self) -> bool:
        """Block until what somebody wrote can be seen; False once closed: do not ask again."""

    def close(self) -> None:
        """Have ``wait`` end."""


class TaskStore(Protocol):
    """The database as a controller uses it; every call is one transaction and may raise StorageError."""

    def writings(self) -> Writings | None:
        """What is written to it from now on, by anybody; None where only a query can tell."""

    def task(self, task_id: int) -> Task | None:
        """The task of this number."""

    def unfinished(self) -> tuple[Task, ...]:
        """Tasks in no final state."""

    def requests_wait(self) -> bool:
        """Whether a task is new, or asked to be cancelled and has not ended. Cheap to ask often."""

    def claim_new_tasks(self) -> tuple[Task, ...]:
        """Every new task, now analyser ready."""

    def set_state(
        self, task_id: int, state: TaskState, at: float, reason: str | None = None, slot: int | None = None
    ) -> Task:
        """The task in its new state."""

    def write_intents(self, drafts: Sequence[IntentDraft], at: float) -> tuple[Intent, ...]:
        """Intents, durable before the network is touched, in the order of the drafts."""

    def intents_undone(self, intent_ids: Iterable[int], at: float) -> None:
        """The undo of these intents is confirmed."""

    def open_intents(self) -> tuple[Intent, ...]:
        """Intents whose undo is not confirmed."""

    def save_vfds(self, bridges: Iterable[Bridge]) -> None:
        """Keep bridges as last seen."""

    def save_snapshot(self, task_id: int, bridge_id: BridgeId, tables: BridgeTables) -> str:
        """Keep the tables a task is judged by."""

    def save_records(self, records: Sequence[PacketInRecord]) -> None:
        """Add packet-in records."""

    def save_samples(self, samples: Sequence[CounterSample]) -> None:
        """Add counter samples."""

    def save_trajectories(self, task_id: int, trajectories: Iterable[Trajectory]) -> None:
        """Keep trajectories instead of those the task had."""

    def save_counts(self, report: CountReport) -> None:
        """Keep what a task has counted."""

    def save_result(self, task_id: int, result: TaskResult) -> None:
        """Keep a result instead of the one the task had."""
