import json
from collections.abc import Callable
from pathlib import Path

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.model.verdict import Disposition, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]


def test_tasks_and_losses_are_counted_printed_and_drawn(vtrace: Vtrace, result_of: ResultOf, tmp_path: Path) -> None:
    vtrace("add", "tcp", "-n", "100")
    vtrace("add", "udp")
    with open_store() as store:
        store.save_result(1, result_of(1, Disposition.DROPPED))
    chart = tmp_path / "usage.svg"
    code, out, _ = vtrace("usage", "--svg", str(chart))
    assert (code, out.splitlines()[0]) == (0, "2 tasks, 1 with a result, 1 of them a loss")
    assert chart.read_text().startswith("<svg ")
    document = json.loads(vtrace("usage", "-o", "json")[1])
    assert [step["value"] for step in document["packet_count"]] == [20, 100]
    assert document["causes"] == [{"category": "unknown", "role": None, "losses": 1, "in_table_4": True}]


def test_a_chart_that_cannot_be_written_is_usage(vtrace: Vtrace, tmp_path: Path) -> None:
    code, out, err = vtrace("usage", "--svg", str(tmp_path))
    assert (code, out) == (2, "")
    assert "Is a directory" in err
