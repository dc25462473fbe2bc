"""Every fault of the catalogue, injected for real, breaks its traffic only, gets its verdict, and is healed exactly."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fault_cases import ANSWERED_WITHIN, Case, Judgement, broken, leads, topologies, traced, trials
from tenant_words import given_away
from vtrace_program import await_that, differences, fingerprints, surroundings

from vtrace_ovs.lab.faults.fault import FaultName
from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition
from vtrace_ovs.pytest_plugin import Tracer

SEED = 1
NUMBERS = re.compile(r"limit \d+ \S+/s, burst .*Meter \d+ dropped (\d+) of (\d+) packets? while the task ran")
PATIENCE = 10.0
"""A switch whose port has just been altered may lose a packet, and TCP sends it again after a second."""
HTTPS = TrafficRequest("blue-web1", "blue-db2", TrafficProtocol.TCP, 443, rate=100, count=5, timeout=PATIENCE)
OTHER_TENANT = replace(HTTPS, source="red-web1", destination="red-db1")
SHARED = {FaultName.UNDERLAY_LINK_DOWN, FaultName.UNDERLAY_LOSSY}
"""These are about a cable that both tenants use."""
TRIED = [
    pytest.param(
        topology, together, id=f"{together[0]}{'' if len(together) == 1 else f' and {len(together) - 1} more'}"
    )
    for topology in topologies()
    for together in trials(topology)
]


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of the topology that a trial is about, of its own: TCP repeats for long what was lost in another."""
    with Lab(load_topology(request.param), tmp_path_factory.mktemp("lab") / request.param) as running:
        yield running


@pytest.mark.parametrize(("lab", "together"), TRIED, indirect=["lab"])
def test_traffic_gets_the_verdict_it_deserves_and_the_lab_is_as_before(
    lab: Lab, vtrace: Tracer, together: list[Case]
) -> None:
    before, around = fingerprints(lab), surroundings(lab)
    with broken(lab, together), ThreadPoolExecutor(1) as pool:
        shared = together[0].fault in SHARED
        other = replace(OTHER_TENANT, timeout=ANSWERED_WITHIN) if shared else OTHER_TENANT
        beside = pool.submit(lab.traffic.run, other) if leads(together) else None
        found = traced(lab, vtrace, together, SEED)
    wrong = [
        f"{outcome.case}: {outcome.verdict.disposition.value} {outcome.verdict.code.value} at {outcome.place} "
        f"table {outcome.table}: {outcome.verdict.operator_sentence}"
        for outcome in found
        if outcome.judgement is not Judgement.RIGHT
    ]
    assert wrong == []
    for outcome in found:
        undecided = outcome.verdict.confidence is Confidence.UNDECIDED
        assert not undecided or outcome.case.symptom.disposition is Disposition.INCONCLUSIVE
        if outcome.verdict.code is CauseCode.METER_RATE_LIMIT:
            dropped, passed = map(int, NUMBERS.findall(outcome.verdict.operator_sentence)[0])
            assert 0 < dropped <= passed
        assert given_away(lab, outcome.verdict.tenant_sentence) == []
        if outcome.report is not None and outcome.case.symptom.code is not CauseCode.NONE:
            assert outcome.report.replies < outcome.report.sent, f"{outcome.case} is not broken"
    assert differences(before, fingerprints(lab)) == []
    await_that(lambda: surroundings(lab) == around, lambda: surroundings(lab))
    if beside is not None:
        assert (beside.result().replies < OTHER_TENANT.count) == shared
        assert lab.traffic.run(HTTPS).replies == HTTPS.count
