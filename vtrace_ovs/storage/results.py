"""Turns results, trajectories and the inventory into rows and back: columns to query, a document to restore from."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from vtrace_ovs.codecs.documents import from_json, to_json
from vtrace_ovs.model.cost import ServerCost
from vtrace_ovs.model.topology import Bridge, BridgeId
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import Headline, TaskResult, Verdict
from vtrace_ovs.storage.schema import ResultCostRow, ResultGroupRow, ResultRow, TrajectoryRow, VfdRow


def save_result(session: Session, task_id: int, result: TaskResult) -> None:
    """Keep a result instead of the one the task had."""
    session.execute(delete(ResultRow).where(ResultRow.task_id == task_id))
    session.add(
        ResultRow(
            task_id=task_id,
            packets=result.packets,
            copies_lost=result.copies_lost,
            document=to_json(result),
            **_verdict_columns(result.verdict),
        )
    )
    session.flush()
    session.add_all(
        ResultGroupRow(task_id=task_id, position=position, packets=group.packets, **_verdict_columns(group.verdict))
        for position, group in enumerate(result.groups)
    )
    session.add_all(_cost_row(task_id, cost) for cost in {cost.node: cost for cost in result.costs}.values())


def find_result(session: Session, task_id: int) -> TaskResult | None:
    """The result of a task."""
    row = session.get(ResultRow, task_id)
    return None if row is None else from_json(TaskResult, row.document)


def list_headlines(session: Session) -> Iterator[tuple[int, Headline]]:
    """Of every task that has a result, its number and what was found; columns only, no document is read."""
    query = select(ResultRow.task_id, ResultRow.disposition, ResultRow.code, ResultRow.node, ResultRow.bridge)
    for number, disposition, code, node, bridge in session.execute(query):
        blamed = node if node is None or bridge is None else BridgeId(node, bridge)
        yield number, Headline(disposition, code, blamed)


def save_trajectories(session: Session, task_id: int, trajectories: Iterable[Trajectory]) -> None:
    """Keep trajectories instead of those the task had."""
    session.execute(delete(TrajectoryRow).where(TrajectoryRow.task_id == task_id))
    session.add_all(_trajectory_row(task_id, trajectory) for trajectory in trajectories)


def list_trajectories(session: Session, task_id: int) -> tuple[Trajectory, ...]:
    """The trajectories of a task, in the order they were saved."""
    query = select(TrajectoryRow.document).where(TrajectoryRow.task_id == task_id).order_by(TrajectoryRow.id)
    return tuple(from_json(Trajectory, document) for document in session.scalars(query))


def save_vfds(session: Session, bridges: Iterable[Bridge]) -> None:
    """Keep bridges as last seen; bridges that are gone stay, because history names them."""
    known = {(row.node, row.bridge): row for row in session.scalars(select(VfdRow))}
    for bridge in bridges:
        row = known.get((bridge.id.node, bridge.id.name))
        if row is None:
            row = VfdRow(node=bridge.id.node, bridge=bridge.id.name)
            session.add(row)
        row.dpid, row.role, row.profile, row.tenant = bridge.dpid, bridge.role, bridge.profile, bridge.tenant
        row.document = to_json(bridge)


def list_vfds(session: Session) -> tuple[Bridge, ...]:
    """Every bridge ever seen, as last seen."""
    query = select(VfdRow.document).order_by(VfdRow.node, VfdRow.bridge)
    return tuple(from_json(Bridge, document) for document in session.scalars(query))


def _verdict_columns(verdict: Verdict) -> dict[str, Any]:
    culprit = verdict.culprit
    bridge = None if culprit is None else culprit.bridge
    return {
        "disposition": verdict.disposition,
        "category": verdict.category,
        "code": verdict.code,
        "confidence": verdict.confidence,
        "node": None if culprit is None else culprit.node,
        "bridge": None if bridge is None else bridge.name,
        "table_id": None if culprit is None else culprit.table_id,
        "cookie": None if culprit is None else culprit.cookie,
        "owner": None if culprit is None else culprit.owner,
    }


def _cost_row(task_id: int, cost: ServerCost) -> ResultCostRow:
    return ResultCostRow(
        task_id=task_id,
        node=cost.node,
        copies=cost.copies,
        megaflows=cost.megaflows,
        masks=cost.masks,
        upcalls=cost.upcalls,
        cpu_share=cost.cpu_share,
    )


def _trajectory_row(task_id: int, trajectory: Trajectory) -> TrajectoryRow:
    last = trajectory.last
    return TrajectoryRow(
        task_id=task_id,
        packet_id=trajectory.packet_id,
        occurrence=trajectory.occurrence,
        origin=trajectory.origin,
        ending=trajectory.ending,
        ambiguous=trajectory.ambiguous,
        hops=len(trajectory.hops),
        node=None if last is None else last.bridge.node,
        bridge=None if last is None else last.bridge.name,
        document=to_json(trajectory),
    )
