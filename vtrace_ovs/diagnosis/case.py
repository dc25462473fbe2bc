"""Turns one packet's two ways into the case the rules look at, and their findings into a Verdict."""

from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.diagnosis.causes import CATEGORIES
from vtrace_ovs.diagnosis.compare import Divergence, counterpart, first_divergence
from vtrace_ovs.diagnosis.naming import printable
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.wording import Particulars, operator_sentence, wording_of
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.packet import Fragment
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import DropShape, Hop, NearMiss, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict


@quickly_built
@dataclass(frozen=True, slots=True)
class Case:
    """One packet: what was seen, what the tables say, and how far they agree.

    ``hop`` is the observed hop that decides. ``expected`` is the predicted hop of the same visit; it is None without a
    prediction or where the packet had already left the predicted way (``divergence``).
    """

    observed: Trajectory
    scene: Scene
    hop: Hop
    predicted: Trajectory | None
    expected: Hop | None
    divergence: Divergence | None

    @staticmethod
    def of(observed: Trajectory, predicted: Trajectory | None, scene: Scene) -> "Case":
        """The case of a trajectory with at least one hop."""
        hop = observed.hops[-1]
        if predicted is None:
            return Case(observed, scene, hop, None, None, None)
        divergence = first_divergence(observed, predicted)
        expected = counterpart(predicted, hop) if divergence is None else None
        return Case(observed, scene, hop, predicted, expected, divergence)

    @property
    def crowded(self) -> bool:
        """Whether copies of packets equal to this one were left out, as there were too many."""
        return self.observed.packet_id in self.scene.crowded


@quickly_built
@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found. ``category`` is set where it is not the cause's usual one."""

    disposition: Disposition
    code: CauseCode
    confidence: Confidence
    particulars: Particulars
    culprit: Culprit | None = None
    drop: DropShape | None = None
    evidence: tuple[Evidence, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    category: CauseCategory | None = None


def seen(sentence: str) -> Evidence:
    """A fact somebody observed."""
    return Evidence(printable(sentence), observed=True)


def deduced(sentence: str) -> Evidence:
    """A fact that follows from stored tables or the inventory."""
    return Evidence(printable(sentence), observed=False)


def evidence_lost(case: Case, detail: str, evidence: tuple[Evidence, ...]) -> Finding:
    """What became of the packet cannot be told from what is there; ``detail`` says as a clause what is not."""
    return Finding(
        disposition=Disposition.INCONCLUSIVE,
        code=CauseCode.EVIDENCE_LOST,
        confidence=Confidence.UNDECIDED,
        particulars=Particulars(place=str(case.hop.bridge), detail=detail),
        evidence=evidence,
    )


def verdict_of(finding: Finding, case: Case | None) -> Verdict:
    """The finding as a Verdict, with both sentences, and with what else the case shows as evidence."""
    wording = wording_of(finding.code, finding.disposition)
    evidence = finding.evidence
    confidence = finding.confidence
    if case is not None:
        if case.divergence is not None:
            evidence = (*evidence, seen(case.divergence.sentence))
            if confidence is Confidence.CORROBORATED:
                confidence = Confidence.INFERRED
        if case.crowded:
            evidence = (*evidence, _CROWD)
        elif case.observed.ambiguous:
            evidence = (*evidence, _TWINS)
        if any(hop.headers_in is not None and hop.headers_in.fragment is not Fragment.NO for hop in case.observed.hops):
            evidence = (*evidence, _FRAGMENT)
        if case.observed.nat_key is not None:
            evidence = (*evidence, *_translations(case.observed))
        if len(case.observed.hops) > 1:
            evidence = (*evidence, *_other_branches(case.observed), *_silent_hops(case.observed))
    return Verdict(
        disposition=finding.disposition,
        category=finding.category or CATEGORIES[finding.code],
        code=finding.code,
        confidence=confidence,
        operator_sentence=operator_sentence(wording, finding.particulars),
        tenant_sentence=wording.tenant,
        remedy=wording.remedy,
        culprit=finding.culprit,
        drop=finding.drop,
        evidence=evidence,
        near_misses=finding.near_misses,
    )


_TWINS = Evidence(
    "Equal packets were on the way at once; which of them fared so cannot be told, but how many can.", True
)


_CROWD = Evidence(
    "More equal packets came than are told apart: which of them fared so, and how many, cannot be told.", True
)


_FRAGMENT = Evidence(
    "It is a fragment: for Open vSwitch it has no ports (a later one of IPv6 is of protocol 44), so flows that match "
    "these do not match it.",
    observed=True,
)


def _translations(observed: Trajectory) -> Iterator[Evidence]:
    """Where NAT changed the five-tuple, with the one before and the one after."""
    for hop in observed.hops:
        before = None if hop.headers_in is None else hop.headers_in.five_tuple
        after = None if hop.headers_out is None else hop.headers_out.five_tuple
        if before is not None and after is not None and before != after:
            yield seen(f"{hop.bridge} translated it: {before} became {after}.")


def _other_branches(observed: Trajectory) -> Iterator[Evidence]:
    """Where copies of the packet went that do not decide the verdict."""
    for hop in observed.hops[:-1]:
        if hop.ending is not None:
            yield seen(f"A copy of the packet took another way: {hop.ending.value} at {hop.bridge}.")


def _silent_hops(observed: Trajectory) -> Iterator[Evidence]:
    """Hops whose records are missing although the packet went on: lost copies, not lost packets (idea N3)."""
    for hop in observed.hops:
        if len(hop.seen) > 1:
            continue
        if hop.inferred:
            yield deduced(f"{hop.bridge} logged nothing, but a later hop proves that the packet passed it.")
        elif hop.ending is None and Loc.OUT not in hop.seen:
            yield deduced(f"{hop.bridge} logged no out, but the next hop proves that the packet left it.")
