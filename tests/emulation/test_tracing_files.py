"""The files of a real trace: the capture holds what was seen where, the report every packet of it."""

import subprocess
from pathlib import Path

import pytest
from browser import assert_whole_and_dead, opened
from vtrace_program import UDP, Vtrace, sending

from vtrace_ovs.lab.network import Lab

PACKETS = 3


@pytest.mark.usefixtures("unchanged")
def test_a_trace_leaves_a_capture_and_a_report(lab: Lab, program: Vtrace, tmp_path: Path) -> None:
    with sending(lab):
        done = program("run", UDP, "--from", "blue-web1", "-n", str(PACKETS))
    assert done.returncode == 0, done.stderr
    capture, report = tmp_path / "copies.pcapng", tmp_path / "report.html"
    assert program("result", "--pcapng", str(capture), "--html", str(report)).returncode == 0
    command = ["tcpdump", "-nn", "-r", str(capture)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert len(lines) >= 10 * PACKETS, "in and out of every packet at each of five visits"
    content = capture.read_bytes()
    for place in ("hop 1, in, cs1/br-int", "hop 3, out, gw1/vr-blue", "hop 5, out, cs3/br-int"):
        assert content.count(place.encode()) >= PACKETS
    assert content.count("✓ DELIVERED".encode()) == 10 * PACKETS
    page = report.read_text(encoding="utf-8")
    assert page.count("<figure>") == 1
    assert page.count("DELIVERED</td>") == PACKETS
    with opened(report, tmp_path / "profile") as shown:
        assert_whole_and_dead(shown, report)
