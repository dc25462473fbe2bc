"""Turns what counting misses into questions about the datapath it was to come into, and the answers into a verdict.

The meter that counts a packet as sent is in the very datapath flow that sends it, so that flow is not in question.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from vtrace_ovs.diagnosis.case import Finding, deduced, seen, verdict_of
from vtrace_ovs.diagnosis.datapath import stale
from vtrace_ovs.diagnosis.naming import counted
from vtrace_ovs.diagnosis.wording import Particulars
from vtrace_ovs.model.counting import Loss
from vtrace_ovs.model.datapath import DatapathQuestion, DatapathReading, TunnelEnds
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import family_of
from vtrace_ovs.model.topology import Topology
from vtrace_ovs.model.verdict import CauseCode, Confidence, Culprit, Disposition, Evidence, Verdict

_ON_THE_WAY = (Disposition.LOST_ON_WIRE, CauseCode.UNDERLAY_LOSS)
_INSIDE = (Disposition.LOST_IN_VFD, CauseCode.UNKNOWN)


@dataclass(frozen=True, slots=True)
class CountedTraffic:
    """What counted packets are known by beyond the VFD that colors them: any of the filters, any of the code points."""

    topology: Topology
    filters: tuple[Filter, ...]
    codes: frozenset[int]


def questions_about(loss: Loss, traffic: CountedTraffic) -> tuple[DatapathQuestion, ...]:
    """What to ask of the datapath that may have dropped these packets; nothing where another cause is known."""
    culprit = loss.verdict.culprit
    node = None if culprit is None else _node(loss.verdict, culprit)
    if culprit is None or node is None:
        return ()
    on_the_way = _kind(loss.verdict) == _ON_THE_WAY
    ways = tuple(_tunnels(traffic.topology, culprit.node, node)) if on_the_way else ((None, None),)
    return tuple(DatapathQuestion(node, one, way, dscps=traffic.codes) for way, one in product(ways, traffic.filters))


def audited(loss: Loss, since: float, readings: Iterable[DatapathReading]) -> Loss:
    """The loss of packets that came in from ``since`` on (Unix seconds), by all answers to the questions about it."""
    culprit, known = loss.verdict.culprit, tuple(readings)
    node = None if culprit is None else _node(loss.verdict, culprit)
    if culprit is None or node is None or not known:
        return loss
    for found in (one for reading in known for one in reading.contradictions if one.used_at >= since):
        bridge = culprit.next_bridge if _kind(loss.verdict) == _ON_THE_WAY else culprit.bridge
        missing = seen(f"{counted(loss.packets, 'packet')} of an interval did not get through the datapath of {node}.")
        return replace(loss, verdict=verdict_of(stale(found, node, bridge, missing, "that interval began"), None))
    compared = sum(one.compared or 0 for one in known)
    if _kind(loss.verdict) != _ON_THE_WAY or not compared or not all(one.in_line for one in known):
        return loss
    follows = f"{counted(compared, 'datapath flow')} of {node} that such packets may meet: all do what the tables say."
    return replace(
        loss, verdict=lost_between(culprit, str(culprit.next_bridge or node), Confidence.CORROBORATED, seen(follows))
    )


def lost_between(culprit: Culprit, towards: str, sure: Confidence, *evidence: Evidence) -> Verdict:
    """Sent by one server, and not come to the other; without evidence its datapath is not known to be without fault."""
    node = culprit.next_node or "the next server"
    open_question = f"Whether the datapath of {node} does with them what its flow tables say is not known."
    return verdict_of(
        Finding(
            *_ON_THE_WAY,
            sure,
            Particulars(
                str(culprit.bridge or culprit.node),
                towards=towards,
                detail="" if evidence else f", or dropped in the datapath of {node}",
            ),
            culprit=culprit,
            evidence=evidence or (deduced(open_question),),
        ),
        None,
    )


def _kind(verdict: Verdict) -> tuple[Disposition, CauseCode]:
    return verdict.disposition, verdict.code


def _node(verdict: Verdict, culprit: Culprit) -> str | None:
    """The server whose datapath is in question."""
    if _kind(verdict) == _ON_THE_WAY:
        return culprit.next_node
    return culprit.node if _kind(verdict) == _INSIDE else None


def _tunnels(topology: Topology, sender: str, receiver: str) -> Iterator[TunnelEnds]:
    ends = (node.vteps for name in (sender, receiver) if (node := topology.node(name)) is not None)
    for source, destination in product(*ends):
        if family_of(source) is family_of(destination):
            yield source, destination
