"""Blame with numbers, and every loss of a task where packets meet several, with live packets."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from vtrace_program import TCP, UDP, Vtrace, sending

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.model.verdict import CauseCode, Disposition
from vtrace_ovs.pytest_plugin import Tracer

FULL_ZONE = r"Connection tracking zone \d+ of cs1 is full \(1 of 1 connection\): it commits no more\."
PACKETS = 12
NOBODY = "tcp:127.0.0.1:9"


def test_two_faults_at_once_are_both_blamed_with_their_packets_and_numbers(lab: Lab, vtrace: Tracer) -> None:
    limited, denied = Fault(FaultName.RATE_LIMIT), Fault(FaultName.SECURITY_DENY)
    with (
        lab.faults.injected(limited),
        lab.faults.injected(denied),
        sending(lab, protocol=TrafficProtocol.TCP, port=443, rate=6),
    ):
        result = vtrace.trace(TCP, packet_count=PACKETS, source_vm="blue-web1")
    found = {fate.verdict.code: fate for fate in result.losses}
    assert found.keys() == {CauseCode.METER_RATE_LIMIT, CauseCode.SECURITY_RULE_DENY}, result.verdict
    assert sum(fate.packets for fate in result.losses) == result.packets == PACKETS
    places = {code: str(fate.verdict.culprit and fate.verdict.culprit.bridge) for code, fate in found.items()}
    assert places == {CauseCode.METER_RATE_LIMIT: "cs1/br-int", CauseCode.SECURITY_RULE_DENY: "cs3/br-int"}
    sentence = result.verdict.operator_sentence
    for fate in result.losses:
        assert f"{fate.packets} of {PACKETS} packets: " in sentence
        assert fate.verdict.disposition is Disposition.DROPPED
    assert "limit 1 packets/s, burst 1 packet." in sentence
    assert " packets while the task ran." in sentence
    facts = [fact.sentence for fact in found[CauseCode.SECURITY_RULE_DENY].verdict.evidence]
    assert any(fact.startswith("Besides the traced packets, ") for fact in facts), facts
    assert any(fact.startswith("cs3/br-int has no controller in its OVSDB") for fact in facts), facts


def test_a_reply_of_no_connection_names_the_full_zone_that_has_no_room_for_one(lab: Lab, vtrace: Tracer) -> None:
    answers = "tcp,nw_src=10.0.2.22,nw_dst=10.0.1.11,tp_src=443"
    with (
        lab.faults.injected(Fault(FaultName.CONNTRACK_LIMIT)),
        sending(lab, protocol=TrafficProtocol.TCP, port=443, rate=6),
    ):
        result = vtrace.trace(answers, packet_count=1, source_vm="blue-db2")
    assert result.verdict.code is CauseCode.CONNECTION_INVALID, result.verdict
    facts = [fact.sentence for fact in result.verdict.evidence]
    assert any(re.fullmatch(FULL_ZONE, fact) for fact in facts), facts


@contextmanager
def run_by(lab: Lab, server: str, bridge: str, target: str) -> Iterator[None]:
    """A bridge with somebody's controller in its OVSDB; of a type that takes no flows away (design D1)."""
    row = (f'target="{target}"', "type=service", "connection_mode=out-of-band")
    vsctl = lab.ovs(server).vsctl
    vsctl("--id=@c", "create", "controller", *row, "--", "set", "bridge", bridge, "controller=@c")
    try:
        yield
    finally:
        vsctl("clear", "bridge", bridge, "controller")


@pytest.mark.usefixtures("unchanged")
def test_the_near_miss_and_whose_the_bridge_is_are_in_every_view(lab: Lab, program: Vtrace, tmp_path: Path) -> None:
    fault = Fault(FaultName.DEFAULT_DENY, protocol="udp", port=5000)
    with lab.faults.injected(fault), run_by(lab, "cs3", "br-int", NOBODY), sending(lab):
        run = program("run", UDP, "--from", "blue-web1", "-n", "3")
    assert run.returncode == 1, run.stderr
    report = tmp_path / "report.html"
    told = json.loads(program("result", "-o", "json", "--html", str(report)).stdout)
    assert told["verdict"]["code"] == CauseCode.SECURITY_DEFAULT_DENY.value
    facts = [fact["sentence"] for fact in told["verdict"]["evidence"]]
    whose = f"cs3/br-int is run by {NOBODY} (never connected); its flows stay as they are meanwhile (fail_mode secure)."
    assert whose in facts, facts
    nearest = told["verdict"]["near_misses"][0]
    assert nearest["flow"]["table_id"] == told["verdict"]["culprit"]["table_id"]
    words = "; ".join(
        f"{one['field']}: the packet has {one['had']}, the flow wants {one['wanted']}" for one in nearest["differences"]
    )
    assert f"Near miss: {nearest['flow']['text']} would have matched but for {words}" in run.stdout
    assert html.escape(words) in report.read_text(encoding="utf-8")
