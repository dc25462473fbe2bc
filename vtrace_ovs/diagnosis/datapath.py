"""Turns what datapaths were found to do into a finding: one of them does not do what its own flow tables say.

No log of ours tells of it: flows log where the datapath does what they say, and this one does something else.
"""

from collections.abc import Iterator

from vtrace_ovs.diagnosis.case import Case, Finding, deduced, seen
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.datapath import Contradiction, DatapathQuestion, DatapathReading
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence

_MARGIN = 1.0
"""Copies are dated as they come to us, datapath flows as their packets pass (seconds)."""
_LONGEST = 160
"""So many characters of datapath actions are told."""


def datapaths_of(way: Trajectory, next_node: str | None) -> tuple[DatapathQuestion, ...]:
    """The datapath a packet was last seen in, by what it came into that server as, and the one it was to come to."""
    return tuple(_datapaths(way, next_node))


def _datapaths(way: Trajectory, next_node: str | None) -> Iterator[DatapathQuestion]:
    last = way.last
    if last is None:
        return
    entered = _entered(way, last)
    here = DatapathQuestion.about(last.bridge.node, entered.headers_in, entered.arrived_by)
    if here is not None:
        yield here
    if next_node in (None, last.bridge.node):
        return
    there = DatapathQuestion.about(str(next_node), last.headers_out, last.left_by)
    if there is not None:
        yield there


def _entered(way: Trajectory, last: Hop) -> Hop:
    """The hop at which the packet came into the server it was last seen in: bridges there share one datapath flow."""
    hop = last
    while hop.arrived_by is None and hop.parent is not None and way.hops[hop.parent].bridge.node == hop.bridge.node:
        hop = way.hops[hop.parent]
    return hop


def contradicting(case: Case, next_node: str | None, next_bridge: BridgeId | None, fact: Evidence) -> Finding | None:
    """A datapath flow that such packets met since this one was seen, and that does less than the tables say."""
    for question in datapaths_of(case.observed, next_node):
        for one in _contradictions(case, question):
            there = next_bridge if question.node == next_node else case.hop.bridge
            return stale(one, question.node, there, fact, "this one was seen")
    return None


def _contradictions(case: Case, question: DatapathQuestion) -> Iterator[Contradiction]:
    since = (case.observed.first_seen or 0.0) - _MARGIN
    for reading in case.scene.datapaths:
        same = reading.question == question
        if reading.tells_of(case.observed.last_seen) and (same or reading.question.outer == question.outer):
            yield from (one for one in reading.contradictions if one.used_at >= since and (same or one.outer))


def stale(one: Contradiction, node: str, bridge: BridgeId | None, fact: Evidence, since: str) -> Finding:
    """It is blamed; ``since`` says when the packets it is blamed for were there, behind "since"."""
    does, told = _short(one.actions), _short(one.told)
    around = "the tunnel packets they come in" if one.outer else "such packets"
    return Finding(
        disposition=Disposition.LOST_IN_VFD,
        code=CauseCode.STALE_MEGAFLOW,
        confidence=Confidence.CORROBORATED,
        particulars=Particulars(
            place=node if bridge is None else str(bridge), flow=one.megaflow, detail=contradiction_phrase(one)
        ),
        culprit=Culprit(node, bridge),
        evidence=(
            fact,
            seen(f"The datapath of {node} has a flow for {around}, {one.megaflow}, whose actions are {does}."),
            deduced(f"The flow tables of {node} would have it do {told}; this was so again after two revalidations."),
            seen(f"It has met packets since {since}."),
        ),
    )


def contradiction_phrase(one: Contradiction) -> str:
    """``drop, and leaves out tnl_pop(3)``, behind "does"."""
    return f"{_short(one.actions)}, and leaves out {' and '.join(one.left_out)}"


def followed(reading: DatapathReading) -> tuple[bool | None, str]:
    """Whether a datapath does what the flow tables say, where that is known, and in words."""
    if reading.contradictions:
        told = "; ".join(f"{one.megaflow} does {contradiction_phrase(one)}" for one in reading.contradictions)
        return False, f"the datapath contradicts the tables: {told}"
    if not reading.in_line:
        return None, "whether the datapath does what the tables say could not be told"
    if not reading.compared:
        return None, "the datapath has no flow for it now"
    return True, f"{counted(reading.compared, 'datapath flow')} that it may meet now: all do what the tables say"


def _short(actions: str) -> str:
    return actions if len(actions) <= _LONGEST else f"{actions[:_LONGEST]}…"


def unfollowed(case: Case, next_node: str | None) -> str:
    """The servers of which it is not known that their datapaths did with such packets what their flow tables say."""
    readings = [one for one in case.scene.datapaths if one.in_line and one.tells_of(case.observed.last_seen)]
    in_line = {one.question for one in readings}
    questions = datapaths_of(case.observed, next_node)
    if not questions:
        return "these servers"
    return " and ".join(dict.fromkeys(one.node for one in questions if one not in in_line))
