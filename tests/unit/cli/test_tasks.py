import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.filters import counting_request
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]


def end(task_id: int, state: TaskState, result: TaskResult | None = None, reason: str | None = None) -> None:
    with open_store() as store:
        if result is not None:
            store.save_result(task_id, result)
        store.set_state(task_id, state, time.time(), reason)


def test_add_prints_the_number_and_talks_beside_it(vtrace: Vtrace) -> None:
    assert vtrace("add", "tcp,tp_dst=443", "-n", "5", "-t", "10", "--vni", "7", "--from", "a", "--to", "b") == (
        0,
        "1\n",
        "task 1 waits for the controller: vtrace watch 1\n",
    )


def test_a_wrong_filter_gets_a_caret_and_code_2(vtrace: Vtrace) -> None:
    code, out, err = vtrace("add", "tcp,tp_dst=99999")
    assert (code, out) == (2, "")
    assert err.splitlines()[1:] == ["  tcp,tp_dst=99999", "             ^^^^^"]


def test_a_number_out_of_range_gets_one_line_and_code_2(vtrace: Vtrace) -> None:
    assert vtrace("add", "tcp", "-n", "501") == (
        2,
        "",
        "vtrace: packet_count is 501: give a number from 1 to 500\n",
    )


def test_list_shows_every_task(vtrace: Vtrace) -> None:
    assert vtrace("list")[1] == "no tasks\n"
    vtrace("add", "tcp")
    vtrace("add", "udp")
    assert len(vtrace("list")[1].splitlines()) == 3
    document = json.loads(vtrace("list", "-o", "json")[1])
    assert {task["filter"] for task in document["tasks"]} == {"tcp", "udp"}


@pytest.mark.parametrize(
    ("disposition", "code"), [(Disposition.DELIVERED, 0), (Disposition.DROPPED, 1), (Disposition.UNSEEN, 3)]
)
def test_the_code_of_a_result_is_its_verdict_s(
    vtrace: Vtrace, result_of: ResultOf, disposition: Disposition, code: int
) -> None:
    vtrace("add", "tcp")
    end(1, TaskState.DONE, result_of(1, disposition))
    for command in (("result", "1"), ("result", "tcp"), ("watch",)):
        outcome, out, err = vtrace(*command)
        assert outcome == code
        assert disposition.value in out
        assert not err


def test_json_has_the_result_and_nothing_else_on_stdout(vtrace: Vtrace, result_of: ResultOf) -> None:
    vtrace("add", "tcp")
    end(1, TaskState.PARTIAL, result_of(1, Disposition.DROPPED), "server2 went away")
    for command in ("result", "watch"):
        code, out, err = vtrace(command, "-o", "json")
        document = json.loads(out)
        assert (code, err) == (1, "")
        assert document["verdict"]["disposition"] == "DROPPED"
        assert document["task"]["state"] == "partial"


def test_a_result_is_a_graph_too_and_so_are_both_directions(vtrace: Vtrace, result_of: ResultOf) -> None:
    vtrace("add", "tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5", "--both")
    end(1, TaskState.DONE, result_of(1, Disposition.DELIVERED))
    end(2, TaskState.DONE, result_of(2, Disposition.DROPPED))
    for command in (("result", "1"), ("watch", "1")):
        code, out, err = vtrace(*command, "-o", "dot")
        assert (code, err) == (1, "")
        assert out.startswith("digraph vtrace {\n")
        assert ["DELIVERED" in out, "DROPPED" in out] == [True, True]


@pytest.mark.parametrize("view", [("-o", "dot"), ("--html", "f"), ("--pcapng", "f")])
def test_packets_that_were_only_counted_have_no_graph_no_report_and_no_copies(
    vtrace: Vtrace, tmp_path: Path, view: tuple[str, str]
) -> None:
    with open_store() as store:
        store.add_task(counting_request("udp,nw_src=10.0.0.1", counting_time=5), 0.0)
    wanted = (view[0], view[1].replace("f", str(tmp_path / "f")))
    code, out, err = vtrace("result", *wanted)
    assert (code, out, list(tmp_path.glob("f"))) == (2, "", [])
    assert "only -o tree or -o json" in err


def test_a_task_without_result_is_not_known(vtrace: Vtrace) -> None:
    vtrace("add", "tcp")
    code, out, err = vtrace("result")
    assert (code, out) == (3, "")
    assert err == "vtrace: task 1 is new and has no result: is vtrace controller running?\n"
    assert json.loads(vtrace("result", "-o", "json")[1])["verdict"] is None


def test_a_failed_task_is_infrastructure_with_its_reason(vtrace: Vtrace) -> None:
    vtrace("add", "tcp")
    end(1, TaskState.FAILED, reason="server2: no OVSDB")
    code, _, err = vtrace("watch")
    assert code == 4
    assert err == "vtrace: task 1 is failed and has no result: server2: no OVSDB\n"


def test_watch_gives_up_after_the_time_it_was_given(vtrace: Vtrace) -> None:
    vtrace("add", "tcp")
    code, out, err = vtrace("watch", "1", "--wait", "0.3")
    assert code == 3
    assert [line.split()[-1] for line in out.splitlines()] == ["new"]
    assert "is vtrace controller running?" in err


def test_watch_prints_each_state_once(vtrace: Vtrace, result_of: ResultOf, monkeypatch: pytest.MonkeyPatch) -> None:
    vtrace("add", "tcp")
    steps = iter([TaskState.ARMED, TaskState.ARMED, TaskState.COLLECTING])

    def advance(_seconds: float) -> None:
        state = next(steps, None)
        end(1, state or TaskState.DONE, None if state else result_of(1, Disposition.DELIVERED))

    monkeypatch.setattr("vtrace_ovs.cli.tasks.time.sleep", advance)
    code, out, _ = vtrace("watch")
    states = [line.split()[-1] for line in out.splitlines() if line.startswith("task 1  +")]
    assert code == 0
    assert states == ["new", "armed", "collecting", "done"]
    assert all(before != after for before, after in pairwise(states))


def test_cancel_marks_the_task(vtrace: Vtrace) -> None:
    vtrace("add", "tcp")
    assert vtrace("cancel", "1") == (0, "", "task 1 will be cancelled: vtrace watch 1\n")
    assert "cancellation requested" in vtrace("list")[1]


def test_a_finished_task_cannot_be_cancelled(vtrace: Vtrace) -> None:
    vtrace("add", "tcp")
    end(1, TaskState.DONE)
    code, _, err = vtrace("cancel", "1")
    assert code == 2
    assert "is done already" in err


@pytest.mark.parametrize("command", [("result", "7"), ("watch", "7"), ("cancel", "7")])
def test_a_task_that_is_not_there_is_usage(vtrace: Vtrace, command: tuple[str, ...]) -> None:
    assert vtrace(*command)[0] == 2
