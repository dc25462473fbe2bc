"""Turns tasks and intents into rows and back, and moves tasks through their states (design D9)."""

from collections.abc import Collection, Iterable
from dataclasses import asdict

from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.task import FINAL_STATES, Intent, IntentDraft, Task, TaskState, TraceRequest
from vtrace_ovs.storage.schema import IntentRow, TaskRow

_WAITING = (
    select(TaskRow.__table__.c.id)
    .where(
        or_(
            TaskRow.state == TaskState.NEW,
            and_(TaskRow.cancel_requested.is_(True), TaskRow.state.not_in(FINAL_STATES)),
        )
    )
    .limit(1)
)

_NEW_INTENTS = insert(IntentRow).returning(IntentRow.id, sort_by_parameter_order=True)
"""Without the ORM, in a third of the time: a task is armed only when they are safe."""


def add_task(session: Session, request: TraceRequest, at: float) -> Task:
    """A new task, waiting for a controller to claim it."""
    traffic = request.filter
    row = TaskRow(
        state=TaskState.NEW,
        filter_text=traffic.text,
        protocol=traffic.protocol,
        source=None if traffic.source is None else str(traffic.source),
        destination=None if traffic.destination is None else str(traffic.destination),
        source_port=traffic.source_port,
        destination_port=traffic.destination_port,
        vni=request.scope.vni,
        packet_count=request.packet_count,
        trace_time=request.trace_time,
        request=to_json(request),
        answers=request.answers,
        count_interval=request.interval,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return _task(row)


def find_task(session: Session, task_id: int) -> Task | None:
    """The task of this number."""
    row = session.get(TaskRow, task_id)
    return None if row is None else _task(row)


def list_tasks(session: Session, states: Collection[TaskState] | None, limit: int | None) -> tuple[Task, ...]:
    """Tasks, newest first."""
    query = select(TaskRow).order_by(TaskRow.id.desc()).limit(limit)
    if states is not None:
        query = query.where(TaskRow.state.in_(states))
    return tuple(_task(row) for row in session.scalars(query))


def latest_task_for(session: Session, filter_text: str) -> Task | None:
    """The newest task of its own with this canonical filter text."""
    own = and_(TaskRow.filter_text == filter_text, TaskRow.answers.is_(None))
    query = select(TaskRow).where(own).order_by(TaskRow.id.desc()).limit(1)
    row = session.scalars(query).first()
    return None if row is None else _task(row)


def answering_task(session: Session, task_id: int) -> Task | None:
    """The newest task that traces the replies to this one's traffic."""
    query = select(TaskRow).where(TaskRow.answers == task_id).order_by(TaskRow.id.desc()).limit(1)
    row = session.scalars(query).first()
    return None if row is None else _task(row)


def unfinished_tasks(session: Session) -> tuple[Task, ...]:
    """Tasks in no final state, oldest first."""
    query = select(TaskRow).where(TaskRow.state.not_in(FINAL_STATES)).order_by(TaskRow.id)
    return tuple(_task(row) for row in session.scalars(query))


def set_state(
    session: Session, task_id: int, state: TaskState, at: float, *, reason: str | None, slot: int | None
) -> Task:
    """The task in its new state. None for ``reason`` or ``slot`` keeps what is there."""
    row = _existing(session, task_id)
    row.state = state
    if state is TaskState.ARMED:
        row.armed_at = at
    if state.final:
        row.ended_at = at
    if reason is not None:
        row.reason = reason
    if slot is not None:
        row.slot = slot
    return _task(row)


def request_cancel(session: Session, task_id: int) -> Task:
    """The task with its cancel flag set; who runs the task acts on it. A finished task stays as it is."""
    row = _existing(session, task_id)
    if not row.state.final:
        row.cancel_requested = True
    return _task(row)


def requests_wait(connection: Connection) -> bool:
    """Whether a task is new, or asked to be cancelled and has not ended."""
    return connection.execute(_WAITING).first() is not None


def any_new_task(session: Session) -> bool:
    """Whether there is something to claim."""
    return session.scalar(select(TaskRow.id).where(TaskRow.state == TaskState.NEW).limit(1)) is not None


def claim_new_tasks(session: Session) -> tuple[Task, ...]:
    """Every new task, now analyser ready, oldest first. The rows are locked: two controllers never claim the same."""
    query = select(TaskRow).where(TaskRow.state == TaskState.NEW).order_by(TaskRow.id)
    rows = session.scalars(query.with_for_update(skip_locked=True)).all()
    for row in rows:
        row.state = TaskState.ANALYSER_READY
    return tuple(_task(row) for row in rows)


def write_intents(session: Session, drafts: Iterable[IntentDraft], at: float) -> tuple[Intent, ...]:
    """The drafts as intents, open, in the same order."""
    fresh = tuple(drafts)
    rows = [asdict(draft) | {"written_at": at} for draft in fresh]
    numbers = session.connection().execute(_NEW_INTENTS, rows).scalars() if rows else ()
    return tuple(
        Intent(number, draft.task_id, draft.kind, draft.target, draft.ovsdb, draft.detail, at)
        for number, draft in zip(numbers, fresh, strict=True)
    )


def intents_undone(session: Session, intent_ids: Iterable[int], at: float) -> None:
    """Close these intents. Raises StorageError when there is none of some number."""
    wanted = set(intent_ids)
    closing = update(IntentRow).where(IntentRow.id.in_(wanted)).values(undone_at=at).returning(IntentRow.id)
    missing = wanted - set(session.scalars(closing.execution_options(synchronize_session=False)))
    if missing:
        raise StorageError(f"there is no intent {min(missing)}: it belongs to another database")


def open_intents(session: Session) -> tuple[Intent, ...]:
    """Intents whose undo is not confirmed, oldest first."""
    query = select(IntentRow).where(IntentRow.undone_at.is_(None)).order_by(IntentRow.id)
    return tuple(_intent(row) for row in session.scalars(query))


def _existing(session: Session, task_id: int) -> TaskRow:
    row = session.get(TaskRow, task_id, with_for_update=True)
    if row is None:
        raise StorageError(f"there is no task {task_id}: list the tasks to see which there are")
    return row


def _task(row: TaskRow) -> Task:
    return Task(
        id=row.id,
        request=from_json(TraceRequest, row.request),
        state=row.state,
        created_at=row.created_at,
        slot=row.slot,
        armed_at=row.armed_at,
        ended_at=row.ended_at,
        reason=row.reason,
        cancel_requested=row.cancel_requested,
    )


def _intent(row: IntentRow) -> Intent:
    return Intent(
        id=row.id,
        task_id=row.task_id,
        kind=row.kind,
        target=row.target,
        ovsdb=row.ovsdb,
        detail=row.detail,
        written_at=row.written_at,
        undone_at=row.undone_at,
    )
