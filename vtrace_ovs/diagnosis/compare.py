"""Turns an observed and a predicted Trajectory into the first place where they disagree, if there is one."""

from dataclasses import dataclass

from vtrace_ovs.model.actions import OFPP_IN_PORT
from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, Step, Trajectory
from vtrace_ovs.model.wording import flow_text

STOPPED_AT_OUTPUT = frozenset({DropShape.OUTPUT_TO_INGRESS, DropShape.PORT_DOWN, DropShape.PORT_GONE})
"""Drops that come after the packet was logged as leaving."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first observed hop the prediction does not have, or has otherwise. ``sentence`` says how."""

    hop: Hop
    sentence: str


def first_divergence(observed: Trajectory, predicted: Trajectory) -> Divergence | None:
    """Where the packet did what the stored tables do not say. Where the observation merely stops, they agree.

    Records that are missing are no disagreement, and neither are outputs whose port one side does not know. From the
    first hop on that the prediction leaves unknown, it says nothing; nor of hops before its first.
    """
    if len(observed.hops) == len(predicted.hops) and all(map(_alike, observed.hops, predicted.hops)):
        return None
    by_mark: dict[int, list[Hop]] = {}
    for hop in predicted.hops:
        by_mark.setdefault(hop.dscp_mark, []).append(hop)
    unknown_from = min((hop.dscp_mark for hop in predicted.hops if hop.ending is Ending.UNKNOWN), default=None)
    begins = predicted.hops[0].dscp_mark if predicted.hops else 1
    for hop in observed.hops:
        if hop.dscp_mark < begins or (unknown_from is not None and hop.dscp_mark >= unknown_from):
            continue
        expected = [one for one in by_mark.get(hop.dscp_mark, ()) if one.bridge == hop.bridge]
        if not expected:
            if hop.inferred:
                continue
            return Divergence(hop, _elsewhere(hop, by_mark.get(hop.dscp_mark, []), predicted))
        sentence = _difference(hop, expected)
        if sentence is not None:
            return Divergence(hop, sentence)
    return None


def _alike(hop: Hop, expected: Hop) -> bool:
    """Whether a hop plainly left as expected: the common case, told cheaply."""
    return (
        hop.out_port is not None
        and hop.out_port == expected.out_port
        and expected.drop is None
        and hop.drop is None
        and hop.dscp_mark == expected.dscp_mark
        and hop.bridge == expected.bridge
    )


def deciding_step(hop: Hop) -> Step | None:
    """The table lookup whose flow, or lack of one, decided about the packet in this hop."""
    if not hop.steps:
        return None
    return hop.steps[-1 if hop.deciding is None else hop.deciding]


def counterpart(predicted: Trajectory, hop: Hop) -> Hop | None:
    """The predicted hop of the same visit: the one that leaves by the same port, else any."""
    same = [one for one in predicted.hops if one.dscp_mark == hop.dscp_mark and one.bridge == hop.bridge]
    return next((one for one in same if one.out_port == hop.out_port), same[-1] if same else None)


def _elsewhere(hop: Hop, expected: list[Hop], predicted: Trajectory) -> str:
    if expected:
        there = " or ".join(sorted({str(one.bridge) for one in expected}))
        return f"The stored tables lead to {there} as hop {hop.dscp_mark}, but the packet was seen at {hop.bridge}."
    last = predicted.last
    where = "before the first hop" if last is None else f"at {last.bridge}"
    return f"The stored tables end the way {where}, but the packet was seen at {hop.bridge}."


def _difference(hop: Hop, expected: list[Hop]) -> str | None:
    if Loc.ERROR in hop.seen:
        return _other_end(hop, expected)
    if Loc.OUT not in hop.seen or hop.out_port is None:
        return None
    for one in expected:
        if _leaves(one):
            out_port = one.in_port if one.out_port == OFPP_IN_PORT else one.out_port
            if out_port is None or out_port == hop.out_port:
                return None
    first = expected[0]
    if not _leaves(first) and first.drop is not None:
        return (
            f"The stored tables drop the packet at {hop.bridge} ({first.drop.value}), "
            f"but it was seen leaving by port {hop.out_port}."
        )
    return (
        f"The stored tables send the packet out of port {first.out_port} of {hop.bridge}, "
        f"but it was seen leaving by port {hop.out_port}."
    )


def _leaves(expected: Hop) -> bool:
    """Whether it is logged as leaving. OVS decides some drops at the output itself, after our copy was taken."""
    at_output = expected.drop is DropShape.NO_OUTPUT and expected.out_port is not None  # no tunnel destination
    return expected.drop is None or expected.drop in STOPPED_AT_OUTPUT or at_output


def _other_end(hop: Hop, expected: list[Hop]) -> str | None:
    """A drop agrees with the prediction when the flow that decided is the same."""
    own = deciding_step(hop)
    dropping = [one for one in expected if one.drop is not None]
    if not dropping:
        return f"The stored tables let the packet pass {hop.bridge}, but it was seen being dropped there."
    blamed_flows = [step.flow for step in map(deciding_step, dropping) if step is not None]
    if own is None or not blamed_flows or own.flow in blamed_flows:
        return None
    blamed = blamed_flows[0]
    wanted = "no flow" if blamed is None else flow_text(blamed)
    return f"The stored tables blame {wanted}, but the packet was seen being dropped elsewhere in {hop.bridge}."
