import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from vtrace_ovs.controller import framework
from vtrace_ovs.controller.framework import Framework, installed, prefer
from vtrace_ovs.errors import InfrastructureError


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    spec = ModuleSpec("anything", None)
    monkeypatch.setattr(framework, "find_spec", lambda name: None if name in missing else spec)


def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has imported neither."""
    for choice in Framework:
        monkeypatch.delitem(sys.modules, f"{choice.value}.base.app_manager", raising=False)


def test_os_ken_is_taken_when_asked_for() -> None:
    assert prefer(Framework.OS_KEN) is Framework.OS_KEN
    assert "os_ken.base.app_manager" in sys.modules


def test_none_is_loaded_before_one_is_asked_for() -> None:
    program = "import sys, vtrace_ovs.cli.running; print([name for name in ('ryu', 'os_ken') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_loaded_already_is_preferred() -> None:
    assert prefer(None) is Framework.OS_KEN


def test_the_other_one_cannot_be_loaded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    with pytest.raises(InfrastructureError, match="cannot load ryu as well"):
        prefer(Framework.RYU)


def test_one_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ryu")
    with pytest.raises(InfrastructureError, match=r"ryu is not installed: pip install 'vtrace-ovs\[ryu\]'"):
        prefer(Framework.RYU)


def test_none_at_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ryu", "os_ken")
    fresh(monkeypatch)
    with pytest.raises(InfrastructureError, match="ryu or os-ken is not installed"):
        prefer(None)


def test_ryu_comes_first_when_both_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    assert installed() == (Framework.RYU, Framework.OS_KEN)


def test_without_ryu_os_ken_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ryu")
    assert installed() == (Framework.OS_KEN,)
