"""The demo is what a newcomer runs first: four right verdicts, and nothing of it stays."""

import os
import subprocess
import sys
from pathlib import Path

DEADLINE = 120
VERDICTS = ("✓ DELIVERED", "security-rule-deny", "no-route", "underlay-loss")


def test_the_demo_names_every_fault_and_takes_its_lab_down(tmp_path: Path) -> None:
    environment = {**os.environ, "VTRACE_RUNDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "vtrace_ovs", "demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places = [done.stdout.find(words) for words in VERDICTS]
    assert -1 not in places
    assert places == sorted(places)
    assert not (tmp_path / "demo" / "lab" / "vpc").exists()
