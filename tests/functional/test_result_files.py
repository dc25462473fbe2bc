"""The files ``vtrace result`` writes, read by other programs than ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from vtrace_ovs.codecs.frames import headers
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.records import Loc, PacketInRecord
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.store import Store

FRAME = bytes(
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.1.5") / TCP(dport=443)
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A database with a task that was sent two copies."""
    database = tmp_path / "vtrace.db"
    with Store.open(database) as store:
        task = store.add_task(trace_request("tcp,tp_dst=443"), 1_772_409_600.0)
        copies = ((Loc.IN, 3, None), (Loc.OUT, 3, 10))
        store.save_records(
            [
                PacketInRecord(
                    sequence=number,
                    task_id=task.id,
                    bridge=BridgeId("cs1", "br-int"),
                    node_ip=None,
                    loc=loc,
                    packet_id="8f14",
                    five_tuple=None,
                    headers=headers(FRAME, len(FRAME)),
                    dscp_mark=1,
                    in_port=in_port,
                    timestamp=1_772_409_601.5 + number,
                    out_port=out_port,
                    frame=FRAME,
                )
                for number, (loc, in_port, out_port) in enumerate(copies)
            ]
        )
    return {**os.environ, "VTRACE_DATABASE": str(database), "VTRACE_OVSDB": "", "NO_COLOR": ""}


def result(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtrace_ovs", "result", "1", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_tcpdump_reads_the_copies_of_a_task(environment: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "copies.pcapng"
    assert result(environment, "--pcapng", str(place)).stderr.splitlines()[0] == f"2 copies written to {place}"
    command = ["tcpdump", "-nn", "-tt", "-r", str(place)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1772409601.500000", "1772409602.500000"]
    assert all("10.0.0.1.20 > 10.0.1.5.443: Flags [S]" in line for line in lines)
    assert b"hop 1, out, cs1/br-int, in port 3, out port 10; " in place.read_bytes()


def test_a_report_and_a_graph_are_written_of_a_task_without_result(environment: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    done = result(environment, "-o", "dot", "--html", str(place))
    assert (done.returncode, done.stdout.splitlines()[0]) == (3, "digraph vtrace {")
    assert place.read_text(encoding="utf-8").endswith("</html>\n")
    assert place.stat().st_mode & 0o777 == 0o600
