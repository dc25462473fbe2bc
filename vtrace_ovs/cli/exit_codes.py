"""Turns verdicts and task states into exit codes: 0 delivered, 1 loss proven, 3 not known, 4 infrastructure.

2 is usage; errors carry their own code (``errors``).
"""

from enum import IntEnum

from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition, Verdict


class ExitCode(IntEnum):
    """What a script learns from a command without reading its output."""

    DELIVERED = 0
    LOSS = 1
    USAGE = 2
    NOT_KNOWN = 3
    INFRASTRUCTURE = 4
    INTERRUPTED = 130


def code_of_verdict(verdict: Verdict) -> ExitCode:
    """The code for a finished trace."""
    if verdict.disposition.is_loss:
        return ExitCode.LOSS
    if verdict.disposition in (Disposition.DELIVERED, Disposition.EXITED):
        return ExitCode.DELIVERED
    return ExitCode.NOT_KNOWN


def code_without_result(state: TaskState) -> ExitCode:
    """The code for a task that has no result: failed is infrastructure, anything else is not known."""
    return ExitCode.INFRASTRUCTURE if state is TaskState.FAILED else ExitCode.NOT_KNOWN
