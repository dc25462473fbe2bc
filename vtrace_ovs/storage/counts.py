"""Turns what tasks have counted into rows and back."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.model.counting import CountReport
from vtrace_ovs.storage.schema import CountRow


def save_counts(session: Session, report: CountReport) -> None:
    """Keep a report instead of the one the task had."""
    session.execute(delete(CountRow).where(CountRow.task_id == report.task_id))
    counted = report.counted
    session.add(CountRow(task_id=report.task_id, packets=counted.entered, lost=counted.lost, document=to_json(report)))


def find_counts(session: Session, task_id: int) -> CountReport | None:
    """The report of a task."""
    row = session.get(CountRow, task_id)
    return None if row is None else from_json(CountReport, row.document)
