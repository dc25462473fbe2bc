"""Turns one packet's observed and predicted way into a Verdict."""

from collections.abc import Callable, Iterable
from typing import assert_never

from vtrace_ovs.diagnosis.arrivals import exited, handed_over, left_unnamed
from vtrace_ovs.diagnosis.case import Case, Finding, deduced, evidence_lost, seen, verdict_of
from vtrace_ovs.diagnosis.drops import dropped, looped
from vtrace_ovs.diagnosis.missing import branch_missing
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.diagnosis.silence import dropped_aside, silent
from vtrace_ovs.diagnosis.wire import on_wire
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.trajectory import Ending, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition, Verdict


def diagnose(observed: Trajectory, predicted: Trajectory | None, scene: Scene) -> Verdict:
    """What became of a packet and why. ``predicted`` is the walk of the same packet through the stored tables."""
    if not observed.hops:
        nothing = Particulars(place="the first device", detail=": no record of it is left")
        return verdict_of(Finding(Disposition.INCONCLUSIVE, CauseCode.UNKNOWN, Confidence.UNDECIDED, nothing), None)
    case = Case.of(observed, predicted, scene)
    rule = dropped_aside if case.hop.aside else _rule_for(observed.ending)
    if rule in _BY_SILENCE and case.crowded:
        rule = _lost_in_the_crowd
    finding = rule(case)
    return verdict_of(branch_missing(case, finding) or finding, case)


def at_a_change(observed: Trajectory, verdicts: Iterable[Verdict], scene: Scene) -> Verdict:
    """The verdict on a packet that came by as tables changed, where it is not known which of these is its own."""
    case = Case.of(observed, None, scene)
    detail = "flow tables changed at that time, and before and after it they treat the packet differently"
    facts = tuple(deduced(f"By one of these tables: {verdict.operator_sentence}") for verdict in verdicts)
    return verdict_of(evidence_lost(case, detail, facts), case)


def not_judged(fault: str) -> Verdict:
    """The verdict on a packet that this tool failed to judge; ``fault`` says in words how it failed."""
    particulars = Particulars(place="", detail=fault)
    finding = Finding(Disposition.INCONCLUSIVE, CauseCode.INTERNAL_ERROR, Confidence.UNDECIDED, particulars)
    return verdict_of(finding, None)


_BY_SILENCE = (silent, on_wire, dropped_aside)
"""These conclude from copies that are not there."""


def _lost_in_the_crowd(case: Case) -> Finding:
    """A way that seems to end may go on in a copy that was left out."""
    detail = "more equal packets came than are told apart"
    last = seen(f"{case.hop.bridge} was the last to log it (hop {case.hop.dscp_mark}), as far as that is known.")
    return evidence_lost(case, detail, (last,))


def _rule_for(ending: Ending) -> Callable[[Case], Finding]:
    match ending:
        case Ending.HANDED_TO_PORT:
            return handed_over
        case Ending.EXITED:
            return exited
        case Ending.DROPPED:
            return dropped
        case Ending.OPEN:
            return silent
        case Ending.ON_WIRE:
            return on_wire
        case Ending.LOOPED:
            return looped
        case Ending.UNKNOWN:
            return left_unnamed
        case _:
            assert_never(ending)
