"""Turns copies that never came into a finding: where they are missing, silence proves nothing (idea N3)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from vtrace_ovs.diagnosis.case import Case, Finding, evidence_lost, seen
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.model.actions import OFPP_IN_PORT
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop
from vtrace_ovs.model.verdict import Disposition, Evidence

_ONWARD = 1.0
"""A packet is at the next VFD within this time (seconds)."""

_OPEN = frozenset({Ending.OPEN, Ending.ON_WIRE, Ending.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Missing:
    """Copies that are missing, or may be, of VFDs named in words."""

    copies: int
    capped: int
    whose: str

    @property
    def sentence(self) -> str:
        """What is missing, as a clause."""
        if not self.copies:
            return f"copies from {self.whose} could not be counted at that time, as its meter was set anew"
        ours = f", {self.capped} of them capped by our own meter" if self.capped else ""
        return f"{counted(self.copies, 'copy', 'copies')} from {self.whose} never arrived{ours}"


def evidence_missing(case: Case, bridges: Iterable[BridgeId], whose: str, *facts: Evidence) -> Finding | None:
    """Nothing is proven where copies of these VFDs are missing; ``facts`` are what is known all the same.

    Of packets that cannot be told apart, a copy missing anywhere may be theirs.
    """
    if case.scene.all_came:
        return None
    missing = _missing(case, tuple(bridges), whose)
    if missing is None:
        return None
    detail = missing.sentence
    return evidence_lost(case, detail, (*facts, seen(f"{detail[0].upper()}{detail[1:]}.")))


def logged_before_silence(case: Case, bridge: BridgeId, *facts: Evidence) -> Finding | None:
    """A VFD that logged this very packet was alive then: that it does not answer now takes its copies, not the packet.

    It may be busy rather than dead, or have died later.
    """
    reason = case.scene.unreachable.get(bridge)
    if reason is None or all(hop.bridge != bridge or not hop.seen for hop in case.observed.hops):
        return None
    detail = f"{bridge} logged the packet, but then {reason}"
    return evidence_lost(case, detail, (*facts, seen(f"{detail}.")))


def _missing(case: Case, bridges: tuple[BridgeId, ...], whose: str) -> Missing | None:
    scene = case.scene
    if case.observed.ambiguous:
        bridges, whose = tuple({*scene.copies, *scene.copies_capped, *scene.uncounted, *bridges}), "the VFDs on the way"
        copies = scene.total_copies_lost
    else:
        copies = sum(scene.missing_copies(bridge) for bridge in bridges)
    capped = sum(scene.copies_capped.get(bridge, 0) for bridge in bridges)
    times = [at for hop in case.observed.hops for at in (hop.entered_at, hop.left_at) if at is not None]
    since, until = min(times, default=-inf), max(times, default=inf)
    uncounted = any(scene.uncounted_at(bridge, since, until + _ONWARD) for bridge in bridges)
    return Missing(copies, capped, whose) if copies or uncounted else None


def branch_missing(case: Case, finding: Finding) -> Finding | None:
    """A packet may have branched unseen where copies are missing: what became of one branch is not all then.

    A copy handed to its addressee decides, whatever the others met.
    """
    if case.scene.all_came or finding.disposition is Disposition.INCONCLUSIVE or _reached(case, finding):
        return None
    suspects = tuple(dict.fromkeys(_where_unseen(case)))
    names = " and ".join(map(str, suspects))
    return evidence_missing(case, suspects, names, *finding.evidence) if suspects else None


def _reached(case: Case, finding: Finding) -> bool:
    """Whether it was handed over, and nothing says that it was meant for somebody else."""
    headers, hop = case.hop.headers_out, case.hop
    if finding.disposition is not Disposition.DELIVERED or headers is None or headers.five_tuple is None:
        return finding.disposition is Disposition.DELIVERED
    port = case.scene.places.port(hop.bridge, hop.out_port)
    return port is None or port.owns(headers.five_tuple.destination) is not False or port.mac == headers.eth_dst


def _where_unseen(case: Case) -> Iterator[BridgeId]:
    """The VFDs of which a missing copy may be of another branch of this packet."""
    for hop in case.observed.hops:
        if hop is not case.hop and hop.ending in _OPEN:
            yield hop.bridge
            if hop.out_port is not None:
                onward = case.scene.places.onward(hop.bridge, hop.out_port, hop.left_by)
                yield from (bridge for bridge, _ in onward.arrivals)
        if not _told(case, hop):
            yield hop.bridge


def _told(case: Case, hop: Hop) -> bool:
    """Whether the stored tables tell of this visit, and of no output that was not seen."""
    hops = () if case.predicted is None else case.predicted.hops
    expected = [one for one in hops if one.dscp_mark == hop.dscp_mark and one.bridge == hop.bridge]
    visit = [one for one in case.observed.hops if one.dscp_mark == hop.dscp_mark and one.bridge == hop.bridge]
    left_by = {one.out_port for one in visit}
    outputs = {one.in_port if one.out_port == OFPP_IN_PORT else one.out_port for one in expected if one.drop is None}
    return bool(expected) and outputs <= left_by
