"""Every fault of the catalogue, injected for real, gets the verdict that the catalogue says, and is healed exactly."""

import re
from collections.abc import Iterator

import pytest
from fault_cases import Case, Judgement, outcomes, topologies, trials
from tenant_words import given_away
from vtrace_program import await_that, differences, fingerprints, surroundings

from vtrace_ovs.lab.network import Lab
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition
from vtrace_ovs.pytest_plugin import Tracer

SEED = 1
NUMBERS = re.compile(r"limit \d+ \S+/s, burst .*Meter \d+ dropped (\d+) of (\d+) packets? while the task ran")
TRIED = [
    pytest.param(
        topology, together, id=f"{together[0]}{'' if len(together) == 1 else f' and {len(together) - 1} more'}"
    )
    for topology in topologies()
    for together in trials(topology)
]


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab of the topology that a trial is about."""
    with Lab(load_topology(request.param), tmp_path_factory.mktemp("lab") / request.param) as running:
        yield running


@pytest.mark.parametrize(("lab", "together"), TRIED, indirect=["lab"])
def test_traffic_gets_the_verdict_it_deserves_and_the_lab_is_as_before(
    lab: Lab, vtrace: Tracer, together: list[Case]
) -> None:
    before, around = fingerprints(lab), surroundings(lab)
    found = outcomes(lab, vtrace, together, SEED)
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
    assert differences(before, fingerprints(lab)) == []
    await_that(lambda: surroundings(lab) == around, lambda: surroundings(lab))
