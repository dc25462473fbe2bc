"""Turns nouns into a durable history and back: the one door to the database.

Every method is one transaction: it happened whole, or it raised StorageError and nothing happened. Times are Unix
seconds and always arguments. One thread may write while others read; several processes may share one database.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.records import CounterSample, PacketInRecord
from vtrace_ovs.model.task import Intent, IntentDraft, Task, TaskState, TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.usage import TaskOutcome
from vtrace_ovs.model.verdict import Headline, TaskResult
from vtrace_ovs.storage import counts, evidence, results, snapshots, tasks, usage
from vtrace_ovs.storage.database import BUSY_TIMEOUT, Database, open_database
from vtrace_ovs.storage.snapshots import StoredSnapshot
from vtrace_ovs.storage.writings import Writings


class Store:
    """An open database of tasks, evidence and results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url_or_path: str | Path, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT) -> "Store":
        """The store at a path (SQLite) or SQLAlchemy URL; created on first use, migrated when it is older.

        ``busy_timeout`` (seconds) is how long any call waits for another process that writes. Raises StorageError when
        there is none and ``create`` is false, and when it is not ours, newer, locked, read-only or corrupt.
        """
        return cls(open_database(url_or_path, create=create, busy_timeout=busy_timeout))

    @property
    def place(self) -> str:
        """The path, or the URL without its password."""
        return self._database.place

    def writings(self) -> Writings | None:
        """What is written to it from now on, by anybody; None where only a query can tell."""
        return self._database.writings()

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- tasks ---

    def add_task(self, request: TraceRequest, at: float) -> Task:
        """A new task, waiting for a controller to claim it."""
        with self._database.writing() as session:
            return tasks.add_task(session, request, at)

    def add_exchange(
        self, request: TraceRequest, reply: Callable[[TraceRequest, int], TraceRequest], at: float
    ) -> tuple[Task, Task]:
        """A new task and one for the replies to its traffic; no controller claims one without the other.

        ``reply`` turns the request and its task's number into the request for the replies.
        """
        with self._database.writing() as session:
            there = tasks.add_task(session, request, at)
            return there, tasks.add_task(session, reply(request, there.id), at)

    def answering(self, task_id: int) -> Task | None:
        """The task that traces the replies to this one's traffic, if there is one."""
        with self._database.reading() as session:
            return tasks.answering_task(session, task_id)

    def task(self, task_id: int) -> Task | None:
        """The task of this number."""
        with self._database.reading() as session:
            return tasks.find_task(session, task_id)

    def tasks(self, states: Collection[TaskState] | None = None, limit: int | None = None) -> tuple[Task, ...]:
        """Tasks, newest first; ``states`` None means any."""
        with self._database.reading() as session:
            return tasks.list_tasks(session, states, limit)

    def latest_task_for(self, filter_text: str) -> Task | None:
        """The newest task with this canonical filter text."""
        with self._database.reading() as session:
            return tasks.latest_task_for(session, filter_text)

    def unfinished(self) -> tuple[Task, ...]:
        """Tasks in no final state, oldest first: what a restart resumes or cleans."""
        with self._database.reading() as session:
            return tasks.unfinished_tasks(session)

    def set_state(
        self, task_id: int, state: TaskState, at: float, reason: str | None = None, slot: int | None = None
    ) -> Task:
        """The task in its new state; ARMED sets ``armed_at``, a final state ``ended_at``.

        None for ``reason`` or ``slot`` keeps what is there. Raises StorageError when there is no such task.
        """
        with self._database.writing() as session:
            return tasks.set_state(session, task_id, state, at, reason=reason, slot=slot)

    def request_cancel(self, task_id: int) -> Task:
        """The task with its cancel flag set, unless it is finished. Raises StorageError when there is no such task."""
        with self._database.writing() as session:
            return tasks.request_cancel(session, task_id)

    def requests_wait(self) -> bool:
        """Whether a task is new, or asked to be cancelled and has not ended. Cheap to ask often."""
        with self._database.looking() as connection:
            return tasks.requests_wait(connection)

    def claim_new_tasks(self) -> tuple[Task, ...]:
        """Every new task, now analyser ready, oldest first; a task is claimed once, whoever else asks.

        Asking often is cheap: the write lock is taken only when there is something to claim.
        """
        with self._database.reading() as session:
            if not tasks.any_new_task(session):
                return ()
        with self._database.writing() as session:
            return tasks.claim_new_tasks(session)

    # --- intents ---

    def write_intents(self, drafts: Iterable[IntentDraft], at: float) -> tuple[Intent, ...]:
        """The drafts as open intents, all in one transaction, which is over before the network is touched."""
        with self._database.writing() as session:
            return tasks.write_intents(session, drafts, at)

    def intents_undone(self, intent_ids: Iterable[int], at: float) -> None:
        """Close intents, all in one transaction. Raises StorageError when there is none of some number."""
        with self._database.writing() as session:
            tasks.intents_undone(session, intent_ids, at)

    def open_intents(self) -> tuple[Intent, ...]:
        """Intents whose undo is not confirmed, oldest first."""
        with self._database.reading() as session:
            return tasks.open_intents(session)

    # --- inventory and tables ---

    def save_vfds(self, bridges: Iterable[Bridge]) -> None:
        """Keep bridges as last seen, each instead of what was known of it."""
        with self._database.writing() as session:
            results.save_vfds(session, bridges)

    def vfds(self) -> tuple[Bridge, ...]:
        """Every bridge ever seen, as last seen, by server and name."""
        with self._database.reading() as session:
            return results.list_vfds(session)

    def save_snapshot(self, task_id: int, bridge_id: BridgeId, tables: BridgeTables) -> str:
        """Keep the tables a task is judged by; the digest (64 hex digits) gets them back. Saving twice is harmless."""
        encoded = snapshots.encode(bridge_id, tables)
        digest = encoded.snapshot.digest
        with self._database.writing() as session:
            snapshots.insert(session, task_id, encoded)
        return digest

    def snapshot(self, digest: str) -> BridgeTables | None:
        """The tables of this digest, counters and raw bytes included."""
        with self._database.reading() as session:
            rows = snapshots.load(session, digest)
            return None if rows is None else snapshots.decode(*rows)

    def snapshots_of(self, task_id: int) -> tuple[StoredSnapshot, ...]:
        """The snapshots a task was judged by, oldest first."""
        with self._database.reading() as session:
            return snapshots.list_snapshots(session, task_id)

    # --- evidence ---

    def save_records(self, records: Sequence[PacketInRecord]) -> None:
        """Add packet-in records; many at a time are much cheaper than one by one."""
        rows = evidence.record_rows(records)
        with self._database.writing() as session:
            evidence.insert_records(session, rows)

    def records(self, task_id: int) -> tuple[PacketInRecord, ...]:
        """The packet-in records of a task, in the order they were saved."""
        with self._database.reading() as session:
            return evidence.select_records(session, task_id)

    def save_samples(self, samples: Sequence[CounterSample]) -> None:
        """Add counter samples."""
        with self._database.writing() as session:
            evidence.insert_samples(session, samples)

    def samples(self, task_id: int) -> tuple[CounterSample, ...]:
        """The counter samples of a task, in the order they were saved."""
        with self._database.reading() as session:
            return evidence.select_samples(session, task_id)

    # --- answers ---

    def save_trajectories(self, task_id: int, trajectories: Iterable[Trajectory]) -> None:
        """Keep trajectories instead of those the task had."""
        with self._database.writing() as session:
            results.save_trajectories(session, task_id, trajectories)

    def trajectories(self, task_id: int) -> tuple[Trajectory, ...]:
        """The trajectories of a task, in the order they were saved."""
        with self._database.reading() as session:
            return results.list_trajectories(session, task_id)

    def save_result(self, task_id: int, result: TaskResult) -> None:
        """Keep a result instead of the one the task had."""
        with self._database.writing() as session:
            results.save_result(session, task_id, result)

    def save_counts(self, report: CountReport) -> None:
        """Keep what a task has counted instead of what it had."""
        with self._database.writing() as session:
            counts.save_counts(session, report)

    def counts(self, task_id: int) -> CountReport | None:
        """What a task has counted."""
        with self._database.reading() as session:
            return counts.find_counts(session, task_id)

    def result(self, task_id: int) -> TaskResult | None:
        """The result of a task, as far as it is known."""
        with self._database.reading() as session:
            return results.find_result(session, task_id)

    def headlines(self) -> dict[int, Headline]:
        """What was found, in short, by the number of each task that has a result."""
        with self._database.reading() as session:
            return dict(results.list_headlines(session))

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """What was asked for and what became of it, of every task, oldest first."""
        with self._database.reading() as session:
            return tuple(usage.list_outcomes(session))
