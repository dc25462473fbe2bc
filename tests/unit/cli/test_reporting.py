import json
import time
from collections.abc import Callable

import pytest

from vtrace_ovs.cli.api import add_vtrace, get_vtrace_exchange, open_store
from vtrace_ovs.cli.exit_codes import ExitCode
from vtrace_ovs.cli.options import ResultFormat
from vtrace_ovs.cli.reporting import report
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.task import Task, TaskState, TraceRequest
from vtrace_ovs.model.verdict import Disposition, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]
TWO_WAYS = "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5,tp_dst=443"


def end(task_id: int, result: TaskResult | None) -> None:
    with open_store() as store:
        if result is not None:
            store.save_result(task_id, result)
        store.set_state(task_id, TaskState.DONE, time.time())


def test_both_directions_are_shown_with_the_verdict_on_the_two(vtrace: Vtrace, result_of: ResultOf) -> None:
    assert vtrace("add", TWO_WAYS, "--both")[:2] == (0, "1\n")
    end(1, result_of(1, Disposition.DELIVERED))
    end(2, result_of(2, Disposition.DROPPED))
    for command in (("result", "1"), ("result", TWO_WAYS), ("watch", "1")):
        code, out, _ = vtrace(*command)
        assert code == 1
        assert "reply-lost" in out
        assert [line for line in out.splitlines() if line in ("Request", "Reply")] == ["Request", "Reply"]
    document = json.loads(vtrace("result", "1", "-o", "json")[1])
    assert (document["verdict"]["disposition"], document["task"]["id"]) == ("DELIVERED", 1)
    assert (document["both"]["code"], document["both"]["disposition"]) == ("reply-lost", "DROPPED")
    assert (document["reply"]["task"]["id"], document["reply"]["task"]["answers"]) == (2, 1)
    found = get_vtrace_exchange(1)
    assert found is not None
    assert found.verdict.disposition is Disposition.DROPPED


def test_the_task_for_the_replies_can_be_looked_at_alone(vtrace: Vtrace, result_of: ResultOf) -> None:
    add_vtrace(TWO_WAYS, both=True)
    end(2, result_of(2, Disposition.DROPPED))
    assert "(replies to task 1)" in vtrace("list")[1]
    code, out, _ = vtrace("result", "2")
    assert code == 1
    assert "Request" not in out


def test_without_a_result_for_the_replies_the_request_is_shown_and_nothing_is_known(
    vtrace: Vtrace, result_of: ResultOf
) -> None:
    add_vtrace(TWO_WAYS, both=True)
    end(1, result_of(1, Disposition.DELIVERED))
    end(2, None)
    code, out, err = vtrace("result", "1")
    assert (code, err) == (3, "vtrace: task 2, for the replies, is done and has no result: it ended without one\n")
    assert "DELIVERED" in out
    assert json.loads(vtrace("result", "1", "-o", "json")[1])["reply"] is None


def test_a_filter_that_fits_both_directions_is_refused(vtrace: Vtrace) -> None:
    code, _, err = vtrace("add", "tcp,tp_dst=443", "--both")
    assert code == 2
    assert "name both ends" in err
    assert vtrace("list")[1] == "no tasks\n"


def test_who_interrupted_a_task_is_not_told_why_it_has_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task(1, TraceRequest(Filter("tcp", protocol=6)), TaskState.CANCELLED, 1.0)
    assert report(task, None, ResultFormat.TREE, 0, finished=False) is ExitCode.INTERRUPTED
    assert capsys.readouterr() == ("", "")
