import sys
from pathlib import Path
from typing import Any

import pytest

from vtrace_ovs.controller.companions import companions
from vtrace_ovs.controller.seam import App
from vtrace_ovs.errors import InfrastructureError, UsageError


class Apps:
    """An AppManager that only notes what it is asked to do."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.failure = failure

    def load_apps(self, modules: list[str]) -> None:
        self.asked.append(f"load {modules}")

    def create_contexts(self) -> dict[str, Any]:
        return {}

    def instantiate_apps(self) -> None:
        self.asked.append("start")
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self.asked.append("close")
        raise RuntimeError("an app of somebody else's")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "an_app_of_somebody_else"
    base = f"{App.__module__} import {App.__name__}"
    (tmp_path / f"{name}.py").write_text(f"from {base}\n\nclass Other({App.__name__}):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_apps_run_while_the_block_does_and_cannot_spoil_its_end(module: str) -> None:
    apps = Apps()
    with companions(apps, [module]):
        assert apps.asked == [f"load ['{module}']", "start"]
    assert apps.asked[2:] == ["close"]


def test_without_modules_nothing_is_asked_of_the_framework() -> None:
    apps = Apps()
    with companions(apps, []):
        pass
    assert apps.asked == []


@pytest.mark.parametrize(
    ("name", "why"), [("no_such_module", "cannot be imported.*ModuleNotFoundError"), ("json", "holds no .* app")]
)
def test_a_module_that_is_no_app_is_the_callers_mistake(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why), companions(Apps(), [name]):
        pass


def test_an_app_that_does_not_start_is_named_as_the_reason(module: str) -> None:
    failing = Apps(OSError("in use"))
    with pytest.raises(InfrastructureError, match="do not start: OSError: in use"), companions(failing, [module]):
        pass
