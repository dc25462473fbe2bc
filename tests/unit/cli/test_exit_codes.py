import pytest

from vtrace_ovs.cli.exit_codes import ExitCode, code_of_verdict, code_without_result
from vtrace_ovs.errors import InfrastructureError, RefusedError, UsageError
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, Verdict

EXPECTED = {
    Disposition.DELIVERED: 0,
    Disposition.EXITED: 0,
    Disposition.DROPPED: 1,
    Disposition.LOST_IN_VFD: 1,
    Disposition.LOST_ON_WIRE: 1,
    Disposition.LOOPED: 1,
    Disposition.UNSEEN: 3,
    Disposition.INCONCLUSIVE: 3,
}


@pytest.mark.parametrize("disposition", Disposition)
def test_every_disposition_has_its_code(disposition: Disposition) -> None:
    verdict = Verdict(disposition, CauseCategory.NONE, CauseCode.NONE, Confidence.OBSERVED, "", "")
    assert code_of_verdict(verdict) == EXPECTED[disposition]


def test_a_failed_task_is_infrastructure_and_any_other_is_not_known() -> None:
    codes = {state: code_without_result(state) for state in TaskState}
    assert codes.pop(TaskState.FAILED) is ExitCode.INFRASTRUCTURE
    assert set(codes.values()) == {ExitCode.NOT_KNOWN}


def test_errors_carry_the_same_codes() -> None:
    assert UsageError.exit_code == ExitCode.USAGE
    assert InfrastructureError.exit_code == RefusedError.exit_code == ExitCode.INFRASTRUCTURE
