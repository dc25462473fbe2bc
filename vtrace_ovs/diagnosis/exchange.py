"""Turns the results of both directions of some traffic into one verdict: it works only if the reply comes back too."""

from dataclasses import replace

from vtrace_ovs.diagnosis.case import deduced, seen
from vtrace_ovs.diagnosis.causes import CATEGORIES
from vtrace_ovs.diagnosis.conclusion import lowered
from vtrace_ovs.diagnosis.grouping import refuses
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.diagnosis.wording import wording_of
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, Evidence, Exchange, TaskResult, Verdict

_ARRIVED = (Disposition.DELIVERED, Disposition.EXITED)
_WEAKEST_FIRST = (Confidence.UNDECIDED, Confidence.INFERRED, Confidence.CORROBORATED, Confidence.OBSERVED)


def exchange(request: TaskResult, reply: TaskResult | None) -> Exchange:
    """Both directions with the verdict on the two.

    The request's own unless it arrived; then the reply's, whose loss and absence have codes of their own.
    """
    verdict = _verdict(request.verdict, None if reply is None else reply.verdict)
    refusals = 0 if reply is None else sum(group.packets for group in reply.groups if refuses(group.example))
    if reply is not None and refusals and verdict.disposition in _ARRIVED and reply.verdict.disposition in _ARRIVED:
        verdict = _refused(verdict, refusals, reply.packets)
    return Exchange(verdict, request, reply)


def _refused(verdict: Verdict, refusals: int, replies: int) -> Verdict:
    """The network is not why it fails; some refusals only are a fact beside what else is true."""
    code = CauseCode.CONNECTION_REFUSED
    fact = seen(f"{refusals} of {counted(replies, 'reply packet')} refused a connection (TCP RST in answer to a SYN).")
    if refusals < replies:
        return replace(verdict, evidence=(*verdict.evidence, fact))
    wording = wording_of(code, verdict.disposition)
    return replace(
        verdict,
        code=code,
        category=CATEGORIES[code],
        operator_sentence=f"{wording.operator} {verdict.operator_sentence}",
        tenant_sentence=wording.tenant,
        remedy=wording.remedy,
        evidence=(*verdict.evidence, fact),
    )


def _verdict(request: Verdict, reply: Verdict | None) -> Verdict:
    if request.disposition not in _ARRIVED or reply is None:
        return request
    if reply.disposition.is_loss:
        return _lost(request, reply)
    if reply.code is CauseCode.NOT_SENT:
        outside = request.disposition is Disposition.EXITED
        return _beyond(request, reply) if outside else _missing(request, reply)
    if reply.disposition not in _ARRIVED:
        sentence = f"The request arrived, but its reply cannot be told: {lowered(reply.operator_sentence)}"
        return replace(reply, operator_sentence=sentence, evidence=(*_arrival(request), *reply.evidence))
    return replace(
        request,
        confidence=min(request.confidence, reply.confidence, key=_WEAKEST_FIRST.index),
        operator_sentence=f"Request: {lowered(request.operator_sentence)} Reply: {lowered(reply.operator_sentence)}",
        evidence=(*request.evidence, *reply.evidence),
    )


def _lost(request: Verdict, reply: Verdict) -> Verdict:
    wording = wording_of(CauseCode.REPLY_LOST, reply.disposition)
    return replace(
        reply,
        code=CauseCode.REPLY_LOST,
        operator_sentence=f"{wording.operator} Reply: {reply.code.value}: {lowered(reply.operator_sentence)}",
        tenant_sentence=f"{wording.tenant} {reply.tenant_sentence}",
        evidence=(*_arrival(request), *reply.evidence),
    )


def _missing(request: Verdict, reply: Verdict) -> Verdict:
    wording = wording_of(CauseCode.NO_REPLY, reply.disposition)
    return _no_reply_seen(request, reply, CauseCode.NO_REPLY, wording.operator)


def _beyond(request: Verdict, reply: Verdict) -> Verdict:
    """Replies are colored at endpoints' ports only; one from outside enters elsewhere."""
    sentence = "The request left the traced network; whether a reply came back from there is not known."
    verdict = _no_reply_seen(request, reply, CauseCode.OUTSIDE_INVENTORY, sentence)
    return replace(
        verdict,
        disposition=Disposition.INCONCLUSIVE,
        confidence=Confidence.UNDECIDED,
        evidence=_arrival(request),
    )


def _no_reply_seen(request: Verdict, reply: Verdict, code: CauseCode, operator_sentence: str) -> Verdict:
    wording = wording_of(code, reply.disposition)
    return replace(
        reply,
        code=code,
        category=CATEGORIES[code],
        operator_sentence=operator_sentence,
        tenant_sentence=wording.tenant,
        remedy=wording.remedy,
        evidence=(*_arrival(request), *reply.evidence),
    )


def _arrival(request: Verdict) -> tuple[Evidence, ...]:
    """That the request arrived, as sure as that is known."""
    told = seen if request.confidence is Confidence.OBSERVED else deduced
    return (told(f"The request arrived: {lowered(request.operator_sentence)}"),)
