"""Turns the diagnosed packets of a task into its TaskResult."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import TaskResult, Verdict


@dataclass(frozen=True, slots=True)
class DiagnosedPacket:
    """One packet: its observed way, the predicted one if it could be walked, and the verdict on both."""

    observed: Trajectory
    predicted: Trajectory | None
    verdict: Verdict


def unseen(request: TraceRequest, scene: Scene) -> Verdict:
    """Why no packet of the filter was seen at any inlet, as far as it is known."""
    raise NotImplementedError


def conclude(
    task_id: int,
    request: TraceRequest,
    packets: Sequence[DiagnosedPacket],
    scene: Scene,
    notes: tuple[str, ...] = (),
) -> TaskResult:
    """The task's result: identical paths grouped, the worst proven loss as the task's own verdict."""
    raise NotImplementedError
