from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.exchange import exchange
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    PathGroup,
    TaskResult,
    Verdict,
)

ARRIVED = Verdict(
    Disposition.DELIVERED,
    CauseCategory.NONE,
    CauseCode.NONE,
    Confidence.OBSERVED,
    "All 5 packets: handed to port 2 of cs2/br-int.",
    "We handed it over.",
)
DENIED = replace(
    ARRIVED,
    disposition=Disposition.DROPPED,
    category=CauseCategory.SECURITY_POLICY,
    code=CauseCode.SECURITY_RULE_DENY,
    operator_sentence="Dropped in cs1/br-int, table 40, by it.",
    tenant_sentence="A security rule discards it.",
    remedy="Change the rule.",
    culprit=Culprit("cs1", BridgeId("cs1", "br-int"), 40),
)
UNSENT = replace(
    ARRIVED,
    disposition=Disposition.UNSEEN,
    category=CauseCategory.TENANT_VM,
    code=CauseCode.NOT_SENT,
    confidence=Confidence.INFERRED,
    operator_sentence="No packet of this traffic entered any traced device.",
)
OPEN = replace(
    ARRIVED, disposition=Disposition.INCONCLUSIVE, code=CauseCode.EVIDENCE_LOST, operator_sentence="It is open."
)


def both(there: Verdict, back: Verdict | None) -> Verdict:
    reply = None if back is None else TaskResult(2, back, (), 5)
    found = exchange(TaskResult(1, there, (), 5), reply)
    assert (found.request.verdict, found.reply) == (there, reply)
    return found.verdict


def test_a_request_that_arrived_and_a_lost_reply_is_a_cause_of_its_own() -> None:
    verdict = both(ARRIVED, DENIED)
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.REPLY_LOST)
    assert (verdict.category, verdict.culprit) == (CauseCategory.SECURITY_POLICY, DENIED.culprit)
    assert verdict.operator_sentence == (
        "The request arrived, but its reply was lost. "
        "Reply: security-rule-deny: dropped in cs1/br-int, table 40, by it."
    )
    assert verdict.remedy == "Change the rule."
    assert "cs1" not in verdict.tenant_sentence
    assert verdict.evidence[0].sentence.startswith("The request arrived: all 5 packets")
    assert verdict.evidence[0].observed


def test_silence_after_a_request_that_arrived_is_the_destinations() -> None:
    verdict = both(ARRIVED, UNSENT)
    assert (verdict.disposition, verdict.code) == (Disposition.UNSEEN, CauseCode.NO_REPLY)
    assert (verdict.category, verdict.confidence) == (CauseCategory.TENANT_VM, Confidence.INFERRED)


def test_a_request_that_did_not_arrive_decides_alone() -> None:
    for there in (DENIED, UNSENT, OPEN):
        for back in (ARRIVED, DENIED, UNSENT, None):
            assert both(there, back) == there


@pytest.mark.parametrize("weaker", [Confidence.INFERRED, Confidence.CORROBORATED])
def test_both_arrived_is_as_sure_as_the_weaker_of_them(weaker: Confidence) -> None:
    verdict = both(ARRIVED, replace(ARRIVED, confidence=weaker))
    assert (verdict.disposition, verdict.confidence) == (Disposition.DELIVERED, weaker)


def test_a_reply_that_cannot_be_told_leaves_the_whole_open() -> None:
    verdict = both(ARRIVED, OPEN)
    assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.EVIDENCE_LOST)
    assert verdict.operator_sentence == "The request arrived, but its reply cannot be told: it is open."


def test_without_a_result_for_replies_the_request_speaks() -> None:
    assert both(ARRIVED, None) == ARRIVED


def test_what_left_the_overlay_may_be_answered_unseen() -> None:
    left = replace(ARRIVED, disposition=Disposition.EXITED)
    verdict = both(left, UNSENT)
    assert (verdict.disposition, verdict.code) == (Disposition.INCONCLUSIVE, CauseCode.OUTSIDE_INVENTORY)
    assert both(left, DENIED).code is CauseCode.REPLY_LOST


RESET = Headers("", "", 0x0800, 54, tcp_seq=0, tcp_ack=7, tcp_flags=0x14)


def back_from_port_443(*headers: Headers) -> TaskResult:
    """Replies that arrived, a group for each of these headers."""
    hops = (Hop(BridgeId("cs2", "br-int"), 1, 3, headers_in=one) for one in headers)
    ways = [Trajectory(2, "a", 0, Origin.OBSERVED, None, (hop,), Ending.HANDED_TO_PORT) for hop in hops]
    return TaskResult(2, ARRIVED, tuple(PathGroup(ARRIVED, way, 2) for way in ways), 2 * len(ways))


def test_replies_that_are_resets_are_a_refusal_of_the_destination() -> None:
    verdict = exchange(TaskResult(1, ARRIVED, (), 5), back_from_port_443(RESET)).verdict
    assert (verdict.disposition, verdict.code) == (Disposition.DELIVERED, CauseCode.CONNECTION_REFUSED)
    assert verdict.category is CauseCategory.TENANT_VM
    assert verdict.operator_sentence.startswith("The destination refuses the connection")
    assert verdict.evidence[-1].sentence.startswith("2 of 2 reply packets refused a connection")


def test_a_reset_of_a_connection_there_was_is_no_refusal() -> None:
    late = replace(RESET, tcp_seq=12345)
    assert exchange(TaskResult(1, ARRIVED, (), 5), back_from_port_443(late)).verdict.code is CauseCode.NONE


def test_some_refusals_among_answers_are_a_fact_and_no_verdict() -> None:
    verdict = exchange(TaskResult(1, ARRIVED, (), 5), back_from_port_443(RESET, replace(RESET, tcp_flags=0x12))).verdict
    assert verdict.code is CauseCode.NONE
    assert verdict.evidence[-1].sentence.startswith("2 of 4 reply packets refused a connection")


def test_a_request_that_was_lost_is_not_refused() -> None:
    assert exchange(TaskResult(1, DENIED, (), 5), back_from_port_443(RESET)).verdict == DENIED
