import os
import shutil

import pytest

from vtrace_ovs.errors import LabError
from vtrace_ovs.lab.preconditions import check_preconditions


def test_a_lab_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root: run it with sudo"):
        check_preconditions()


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "mnexec" else f"/usr/bin/{program}")
    with pytest.raises(LabError, match=r"needs mnexec.*apt-get install mininet"):
        check_preconditions()


def test_a_machine_with_everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    check_preconditions()
