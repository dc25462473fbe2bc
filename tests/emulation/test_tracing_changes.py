"""Flows that production changes while a trace runs: each packet is judged by the tables of its moment (idea N4)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from vtrace_program import DEADLINE, UDP, Json, Vtrace, await_that, sending

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.model.records import Loc

COOKIE = 0xDEAD01
DENY = f"cookie={COOKIE:#x},table=40,priority=3000,udp,nw_dst=10.0.2.22,tp_dst=5000,actions=drop"
BY_COOKIE = f"cookie={COOKIE:#x}/-1"
ROUTE = "table=10,ip,nw_dst=10.0.2.0/24"
SOME, RATE = 10, 20.0
DELIVERED, UNKNOWN = ("DELIVERED", "none"), ("INCONCLUSIVE", "evidence-lost")
DENIED, NO_ROUTE = ("DROPPED", "security-rule-deny"), ("DROPPED", "no-route")


def ofctl(lab: Lab, server: str, bridge: str, *command: str) -> str:
    ovs = lab.ovs(server)
    *options, verb, flow = command
    return ovs.ofctl(*options, verb, str(ovs.management_socket(bridge)), flow)


@pytest.fixture
def denied(lab: Lab) -> Iterator[None]:
    """No rule of the tests is left."""
    yield
    ofctl(lab, "cs3", "br-int", "del-flows", BY_COOKIE)


class Running:
    """A trace that goes on beside the test. ``document`` is its result, once it is over."""

    def __init__(self, program: Vtrace) -> None:
        self._program = program
        self.document: Json = {}

    def logs(self, loc: Loc, node: str) -> None:
        """Wait until a server has logged some more packets so."""
        known = self._logged(loc, node)
        await_that(lambda: self._logged(loc, node) >= known + SOME)

    def _logged(self, loc: Loc, node: str) -> int:
        with self._program.store() as store:
            return sum(record.loc is loc and record.bridge.node == node for record in store.records(1))

    def told(self, fate: tuple[str, str]) -> str:
        """What is said of packets of this fate. Some were delivered, and all others are left open."""
        verdicts = [group["verdict"] for group in self.document["groups"]]
        sentences = {(one["disposition"], one["code"]): str(one["operator_sentence"]) for one in verdicts}
        assert {DELIVERED, fate} <= sentences.keys() <= {DELIVERED, fate, UNKNOWN}
        return sentences[fate]


@contextmanager
def traced(lab: Lab, program: Vtrace, packets: int) -> Iterator[Running]:
    running = Running(program)
    options = ("--from", "blue-web1", "-n", str(packets), "-t", "30", "-o", "json")
    with sending(lab, rate=RATE), program.started("run", UDP, *options) as process:
        await_that(lambda: program.state() == "armed")
        yield running
        out, error = process.communicate(timeout=DEADLINE)
    running.document = json.loads(out)
    assert running.document["task"]["state"] == "done", error


@pytest.mark.usefixtures("unchanged", "denied")
def test_packets_before_a_new_rule_are_delivered_and_those_after_it_dropped_by_it(lab: Lab, program: Vtrace) -> None:
    with traced(lab, program, 200) as running:
        running.logs(Loc.OUT, "cs3")
        ofctl(lab, "cs3", "br-int", "add-flow", DENY)
        running.logs(Loc.ERROR, "cs3")
    sentence = running.told(DENIED)
    assert f"cookie={COOKIE:#x}" in sentence
    assert "That flow was added " in sentence


@pytest.mark.usefixtures("unchanged", "denied")
def test_a_rule_that_is_gone_by_the_time_of_judging_is_still_named(lab: Lab, program: Vtrace) -> None:
    ofctl(lab, "cs3", "br-int", "add-flow", DENY)
    with traced(lab, program, 200) as running:
        running.logs(Loc.ERROR, "cs3")
        ofctl(lab, "cs3", "br-int", "del-flows", BY_COOKIE)
        running.logs(Loc.OUT, "cs3")
    sentence = running.told(DENIED)
    assert f"cookie={COOKIE:#x}, priority=3000,udp,nw_dst=10.0.2.22,tp_dst=5000" in sentence
    assert "That flow is gone: it was removed between " in sentence


@pytest.mark.usefixtures("unchanged")
def test_a_route_that_goes_and_comes_back_is_missed_only_in_between(lab: Lab, program: Vtrace) -> None:
    shown = ofctl(lab, "gw1", "vr-blue", "--no-stats", "dump-flows", ROUTE)
    route = next(line.strip() for line in shown.splitlines() if "nw_dst" in line)
    with traced(lab, program, 240) as running:
        running.logs(Loc.OUT, "cs3")
        ofctl(lab, "gw1", "vr-blue", "del-flows", ROUTE)
        running.logs(Loc.ERROR, "gw1")
        await_that(lambda: changes_seen(program) > 0)
        ofctl(lab, "gw1", "vr-blue", "add-flow", route)
        running.logs(Loc.OUT, "cs3")
    assert running.told(NO_ROUTE)
    assert any("the flow tables of gw1/vr-blue changed" in note for note in running.document["notes"])


def changes_seen(program: Vtrace) -> int:
    """How many readings of the router are kept beyond the first."""
    with program.store() as store:
        return sum(kept.bridge.name == "vr-blue" for kept in store.snapshots_of(1)) - 1
