from collections.abc import Callable
from pathlib import Path

import pytest

from vtrace_ovs.cli.app import run
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Disposition, TaskResult, Verdict

VARIABLES = ("VTRACE_OVSDB", "VTRACE_RUNDIR", "OVS_RUNDIR", "XDG_STATE_HOME", "NO_COLOR")
Outcome = tuple[int, str, str]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of this test's own, and an environment that says nothing else."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    place = tmp_path / "state" / "vtrace.db"
    monkeypatch.setenv("VTRACE_DATABASE", str(place))
    return place


@pytest.fixture
def vtrace(database: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process: exit code, stdout, stderr."""
    assert not database.exists()

    def invoke(*arguments: str) -> Outcome:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return invoke


@pytest.fixture
def result_of() -> Callable[[int, Disposition], TaskResult]:
    def make(task_id: int, disposition: Disposition) -> TaskResult:
        fixed = (disposition, CauseCategory.UNKNOWN, CauseCode.UNKNOWN, Confidence.OBSERVED)
        return TaskResult(task_id, Verdict(*fixed, "For you.", "For them."), (), 20)

    return make
