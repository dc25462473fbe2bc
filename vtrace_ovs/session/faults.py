"""Turns a fault of this tool's own into the end of one task, or of one packet's judgement, and of nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

from vtrace_ovs.diagnosis.conclusion import DiagnosedPacket
from vtrace_ovs.diagnosis.rules import not_judged
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.session.runs import TaskRun


@contextmanager
def confined(run: TaskRun) -> Iterator[None]:
    """Whatever is raised in here ends this task, as failed; the controller and all other tasks go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - tenants' packets must not end other tenants' traces
        fail(run, error)


def fail(run: TaskRun, error: Exception) -> None:
    """End this task over an error of this tool's own."""
    run.faults.append(error)
    run.failure = run.failure or f"an error of vtrace itself ended the task: {in_words(error)}"


def unjudged(run: TaskRun, observed: Trajectory, error: Exception) -> DiagnosedPacket:
    """A packet that could not be judged because of this error; of equal errors only the first is logged."""
    sentence = f"an error of vtrace itself left packets unjudged: {in_words(error)}"
    if sentence not in run.notes:
        run.note(sentence)
        run.faults.append(error)
    return DiagnosedPacket(observed, None, not_judged(in_words(error)))


def in_words(error: Exception) -> str:
    """The error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
