"""What ``vtrace`` writes for people to open, in a real browser: laid out whole, and dead to whatever tenants wrote."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from browser import assert_whole_and_dead, opened

from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, HeaderChange, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    Evidence,
    Fate,
    PathGroup,
    TaskResult,
    Verdict,
)
from vtrace_ovs.storage.store import Store

HOSTILE = (
    "</title></style></text></svg></td></table><script>owned=1</script><img src=x onerror=owned=1>"
    "<svg onload=owned=1><a href='javascript:owned=1'>\"' onmouseover=owned=1 &lt;b&gt; \u202eevil\u2066 \x1b[2J"
)
FLOW = FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF)))
SERVERS = ("cs1", "gw1", "cs3")

WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def group(server: str, words: str, packets: int) -> PathGroup:
    """Packets that crossed three servers and were lost at the last; ``words`` is whatever anybody could name."""
    bridge = BridgeId(server, f"br-int{words}")
    near = NearMiss(FLOW, 5, ((f"tcp_dst{words}", "443", "80"),))
    verdict = Verdict(
        *(Disposition.DROPPED, CauseCategory.SECURITY_POLICY, CauseCode.SECURITY_RULE_DENY, Confidence.OBSERVED),
        *(f"Denied by {words}.", "One of your rules blocks it.", f"Ask {words}."),
        Culprit(server, bridge, 40, f"acl{words}", FLOW, 7, f"owner {words}"),
        DropShape.EXPLICIT_DROP,
        (Evidence(f"It was seen: {words}", observed=True),),
        (near,),
    )
    steps = (
        Step(0, FLOW, 1, f"goto_table:40{words}"),
        Step(40, FLOW, 7, f"drop{words}", near_misses=(near,)),
    )
    change = HeaderChange("nw_ttl", "64", f"63{words}")
    hops = [
        Hop(BridgeId(node, f"br-int{words}"), at + 1, 3, 10, at - 1 if at else None, changes=(change,))
        for at, node in enumerate(SERVERS)
    ]
    hops[-1] = replace(hops[-1], bridge=bridge, out_port=None, steps=steps, drop=DropShape.EXPLICIT_DROP)
    way = Trajectory(1, f"8f14{words}", 0, Origin.OBSERVED, None, tuple(hops), Ending.DROPPED, first_seen=1.0)
    return PathGroup(verdict, way, packets)


def written(tmp_path: Path, words: str, *arguments: str) -> None:
    """Run ``vtrace`` on a database with one task, of whose packets two groups were lost at two places."""
    database = tmp_path / "vtrace.db"
    groups = (group("cs3", words, 12), group("cs4", words, 8))
    fates = tuple(Fate(one.packets, one.verdict) for one in groups)
    result = TaskResult(1, groups[0].verdict, groups, 20, 1, (f"A note: {words}",), losses=fates)
    with Store.open(database) as store:
        task = store.add_task(trace_request("tcp,tp_dst=443", source_vm=f"web{words}"), 1_772_409_600.0)
        store.save_result(task.id, result)
        store.save_trajectories(task.id, [one.example for one in groups])
        store.set_state(task.id, TaskState.PARTIAL, 1_772_409_700.0, f"{words} went away")
    environment = {**os.environ, "VTRACE_DATABASE": str(database), "VTRACE_OVSDB": "", "NO_COLOR": ""}
    command = [sys.executable, "-m", "vtrace_ovs", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode in {0, 1}, done.stderr


@pytest.mark.parametrize("words", ["", HOSTILE], ids=["plain", "hostile"])
def test_a_report_is_whole_and_dead_to_what_anybody_wrote(tmp_path: Path, words: str) -> None:
    report = tmp_path / "report.html"
    written(tmp_path, words, "result", "1", "--html", str(report))
    with opened(report, tmp_path / "profile") as page:
        assert_whole_and_dead(page, report)
        assert page.ask("document.querySelectorAll('figure svg').length") == 2
        assert page.ask(WIDER) == 0, "only tables and drawings scroll"
        headings = page.ask("[...document.querySelectorAll('h3')].map(one => one.textContent)")
        assert {"Losses", "Packets"} <= set(headings)
        text = page.ask("document.body.innerText")
        assert "12 of 20 packets (60 %)" in text
        assert "would have matched but for" in text
        if words:
            assert "<script>owned=1</script>" in text, "shown, as text"
            assert "\u202e" not in text


def test_the_chart_of_usage_is_whole(tmp_path: Path) -> None:
    chart = tmp_path / "usage.svg"
    written(tmp_path, HOSTILE, "usage", "--svg", str(chart))
    with opened(chart, tmp_path / "profile") as page:
        assert_whole_and_dead(page, chart)
        assert page.ask("document.querySelectorAll('text').length") > 20
