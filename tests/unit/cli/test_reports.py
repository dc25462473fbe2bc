import time
from collections.abc import Callable
from pathlib import Path

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]


def test_a_report_is_written_beside_what_is_printed(vtrace: Vtrace, result_of: ResultOf, tmp_path: Path) -> None:
    vtrace("add", "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5", "--from", "<b>", "--both")
    place = tmp_path / "report.html"
    assert vtrace("result", "1", "--html", str(place))[0] == 3
    assert "Task 1 is new and has no result." in place.read_text()
    with open_store() as store:
        for number, disposition in ((1, Disposition.DELIVERED), (2, Disposition.DROPPED)):
            store.save_result(number, result_of(number, disposition))
            store.set_state(number, TaskState.DONE, time.time())
    code, out, err = vtrace("result", "1", "--html", str(place))
    assert (code, err) == (1, f"report written to {place}\n")
    assert "DROPPED" in out
    page = place.read_text()
    assert "--from &lt;b&gt;" in page
    assert "reply-lost" in page
    assert "<b>" not in page


def test_a_task_alone_has_a_report_of_its_own(vtrace: Vtrace, result_of: ResultOf, tmp_path: Path) -> None:
    vtrace("add", "tcp")
    with open_store() as store:
        store.save_result(1, result_of(1, Disposition.DROPPED))
    vtrace("result", "1", "--html", str(tmp_path / "one.html"))
    assert "Request" not in (tmp_path / "one.html").read_text()
