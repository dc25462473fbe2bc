"""Every screen, letter for letter. A failing test says how to keep the new screen, if the change is meant."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.verdict import Disposition, TaskResult
from vtrace_ovs.rendering.document import result_document
from vtrace_ovs.rendering.lines import plain_text, to_ascii
from vtrace_ovs.rendering.screen import result_lines
from vtrace_ovs.rendering.terminal import coloured_text

HERE = Path(__file__).parent
NAMES = [*(disposition.value.lower() for disposition in Disposition), "hostile"]


def assert_golden(name: str, actual: str, tmp_path: Path) -> None:
    golden = HERE / name
    kept = tmp_path / name
    kept.write_text(actual, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8") if golden.exists() else ""
    assert actual == expected, f"if the change is meant: cp {kept} {golden}"


@pytest.mark.parametrize("name", NAMES)
def test_each_disposition_has_its_screen(name: str, results: Mapping[str, TaskResult], tmp_path: Path) -> None:
    assert_golden(f"{name}.txt", plain_text(result_lines(results[name])), tmp_path)


@pytest.mark.parametrize("detail", [1, 2])
def test_more_detail_shows_every_flow_and_near_miss(
    detail: int, results: Mapping[str, TaskResult], tmp_path: Path
) -> None:
    screen = plain_text(result_lines(results["dropped"], detail))
    assert_golden(f"dropped-{'v' * detail}.txt", screen, tmp_path)


def test_a_terminal_without_unicode_gets_ascii(results: Mapping[str, TaskResult], tmp_path: Path) -> None:
    assert_golden("dropped-ascii.txt", to_ascii(plain_text(result_lines(results["dropped"]))), tmp_path)


def test_a_terminal_gets_colours(results: Mapping[str, TaskResult], tmp_path: Path) -> None:
    assert_golden("dropped-coloured.txt", coloured_text(result_lines(results["dropped"])), tmp_path)


def test_a_result_has_its_document(results: Mapping[str, TaskResult], tmp_path: Path) -> None:
    task = Task(3, trace_request("tcp,tp_dst=443", vni=5001), TaskState.DONE, 100.0, 7, 100.1, 101.5)
    assert_golden("dropped.json", result_document(results["dropped"], task), tmp_path)
