"""Turns one packet's two ways into the case the rules look at, and their findings into a Verdict."""

from collections.abc import Iterator
from dataclasses import dataclass

from vtrace_ovs.diagnosis.causes import CATEGORIES
from vtrace_ovs.diagnosis.compare import Divergence, counterpart, first_divergence
from vtrace_ovs.diagnosis.naming import printable
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.wording import Particulars, operator_sentence, wording_of
from vtrace_ovs.model.construction import builder, quickly_built
from vtrace_ovs.model.packet import Fragment
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import DropShape, Hop, NearMiss, Trajectory
from vtrace_ovs.model.verdict import CauseCategory, CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict

_WHOLE = Fragment.NO  # looking up an enum member takes its time on Python 3.11, and this is done for every hop
_IN_AND_ONWARD = 2


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
            return _case(observed, scene, hop, None, None, None)
        divergence = first_divergence(observed, predicted)
        expected = counterpart(predicted, hop) if divergence is None else None
        return _case(observed, scene, hop, predicted, expected, divergence)

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


_case, _fact, _verdict = builder(Case), builder(Evidence), builder(Verdict)


def seen(sentence: str) -> Evidence:
    """A fact somebody observed."""
    return _fact(printable(sentence), observed=True)


def deduced(sentence: str) -> Evidence:
    """A fact that follows from stored tables or the inventory."""
    return _fact(printable(sentence), observed=False)


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
        evidence = (*evidence, *_shown_by(case.observed))
    return _verdict(
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


def _shown_by(observed: Trajectory) -> list[Evidence]:
    """What the way shows besides what decides: a fragment, where NAT changed it, other branches, hops not logged."""
    fragment, branches, silent = False, [], []
    for hop in observed.hops:
        headers = hop.headers_in
        if headers is not None and headers.fragment is not _WHOLE:
            fragment = True
        if hop.ending is not None and hop is not observed.hops[-1]:
            branches.append(seen(f"A copy of the packet took another way: {hop.ending.value} at {hop.bridge}."))
        if len(hop.seen) < _IN_AND_ONWARD and (inference := _of_silence(hop)) is not None:
            silent.append(inference)
    translations = () if observed.nat_key is None else _translations(observed)
    return [*((_FRAGMENT,) if fragment else ()), *translations, *branches, *silent]


def _translations(observed: Trajectory) -> Iterator[Evidence]:
    """Where NAT changed the five-tuple, with the one before and the one after."""
    for hop in observed.hops:
        before = None if hop.headers_in is None else hop.headers_in.five_tuple
        after = None if hop.headers_out is None else hop.headers_out.five_tuple
        if before is not None and after is not None and before != after:
            yield seen(f"{hop.bridge} translated it: {before} became {after}.")


def _of_silence(hop: Hop) -> Evidence | None:
    """What records say that are missing although the packet went on: copies were lost, not packets (idea N3)."""
    if hop.inferred:
        return deduced(f"{hop.bridge} logged nothing, but a later hop proves that the packet passed it.")
    if hop.ending is None and Loc.OUT not in hop.seen:
        return deduced(f"{hop.bridge} logged no out, but the next hop proves that the packet left it.")
    return None
