"""Turns all tasks, what was found out, and the roles of the bridges blamed into task outcomes, for statistics."""

from collections.abc import Iterator

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from vtrace_ovs.model.usage import TaskOutcome
from vtrace_ovs.storage.schema import ResultRow, TaskRow, VfdRow

_OUTCOMES = (
    select(
        TaskRow.created_at,
        TaskRow.packet_count,
        TaskRow.trace_time,
        ResultRow.disposition,
        ResultRow.category,
        VfdRow.role,
    )
    .outerjoin(ResultRow, ResultRow.task_id == TaskRow.id)
    .outerjoin(VfdRow, and_(VfdRow.node == ResultRow.node, VfdRow.bridge == ResultRow.bridge))
    .where(TaskRow.count_interval.is_(None))
    .order_by(TaskRow.id)
)


def list_outcomes(session: Session) -> Iterator[TaskOutcome]:
    """One per task that traced packets, oldest first; columns only, no document is read."""
    for row in session.execute(_OUTCOMES):
        yield TaskOutcome(*row)
