"""Turns production's first table into which packets of a patch port production keeps apart, so that ours do as well.

A packet that comes through a patch port is put into a ``clone`` of its own when the first flow it hits does what cannot
be undone (``reversible_actions`` in ofproto-dpif-xlate.c; tried on 3.1): a meter's drop, or what ``ct`` makes of it,
stays away from what the VFD before still does with it. Our flows stand before that first flow, so the decision falls at
ours. Where production's flows differ in this, ours repeat their matches in their order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from vtrace_ovs.errors import RefusedError
from vtrace_ovs.instrumentation.walk import REMEMBERED, every_action
from vtrace_ovs.model.actions import (
    OFPP_CONTROLLER,
    Action,
    ApplyActions,
    Conjunction,
    Conntrack,
    Instruction,
    Meter,
    Nat,
    Output,
    UnknownAction,
    UnknownInstruction,
)
from vtrace_ovs.model.flow import Flow
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import CONJ_ID, IN_PORT, IP_DSCP
from vtrace_ovs.model.wording import flow_text

MOST_LAYERS = 128
TRUNCATED = 64
_UNDONE = frozenset({"encap", "decap", "delete_field", "write_metadata"})
"""Actions this version does not model and Open vSwitch counts as reversible."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Packets of a port that match, ``depth`` steps below the topmost, and whether they are kept apart."""

    match: Match
    depth: int
    isolated: bool


PLAIN = (Layer(Match(), 0, isolated=False),)


def isolating(ofport: int) -> Action:
    """Truncated output to the port a packet came from does nothing, and cannot be undone."""
    return Output(ofport, TRUNCATED)


def layers(first: Iterable[Flow], ofport: int, dscp: int) -> tuple[Layer, ...]:
    """The layers of marked packets from a patch port, topmost first; the last takes all that the others leave.

    ``first`` are production's flows of the first table; ``dscp`` is that of these packets once their mark is off. What
    hits no flow is dropped, kept apart or not. Raises RefusedError, naming the flow, where a packet's own first flow
    cannot be told.
    """
    here = Match.of(MaskedField(IN_PORT, ofport, IN_PORT.full_mask))
    clean = MaskedField(IP_DSCP, dscp, IP_DSCP.full_mask)
    flows = tuple(
        (flow, match)
        for flow in sorted(first, key=lambda flow: flow.priority)
        if (match := _with_mark(flow.match, here, clean)) is not None
    )
    kinds = {isolates(flow.instructions) for flow, _ in flows}
    if len(kinds) <= 1 and None not in kinds:
        return (Layer(Match(), 0, isolated=True in kinds),)
    _refuse_unclear(flow for flow, _ in flows)
    return _stacked(flows)


def _stacked(flows: tuple[tuple[Flow, Match], ...]) -> tuple[Layer, ...]:
    """Only flows that decide otherwise than what lies below them; ``flows`` are in order of priority."""
    default = isolates(flows[0][0].instructions) is True
    kept: list[tuple[Flow, Match, bool]] = []
    for flow, match in flows:
        isolated = isolates(flow.instructions) is True
        if isolated is not default and any(_tie(flow, match, *other) for other in flows):
            raise _refused(flow, "ties with another that isolates packets otherwise; give one of them another priority")
        if isolated is not default or any(kind is not isolated and their.overlaps(match) for _, their, kind in kept):
            kept.append((flow, match, isolated))
        if len(kept) > MOST_LAYERS:
            raise _refused(flow, f"is one of more than {MOST_LAYERS} that meter or track some packets and not others")
    return (*_deepening(tuple(reversed(kept)), default=default),)


def _deepening(kept: tuple[tuple[Flow, Match, bool], ...], *, default: bool) -> Iterator[Layer]:
    depth, before = 0, None
    for _, match, isolated in kept:
        depth += before is not None and before is not isolated
        before = isolated
        yield Layer(match, depth, isolated)
    yield Layer(Match(), depth + (before is not None and before is not default), default)


def _tie(flow: Flow, match: Match, other: Flow, others: Match) -> bool:
    """Whether nothing but chance says which of two flows a packet hits, and it matters."""
    matters = other.priority == flow.priority and isolates(other.instructions) is not isolates(flow.instructions)
    return matters and others.overlaps(match)


def _with_mark(match: Match, here: Match, clean: MaskedField) -> Match | None:
    """Which packets of this port will match once their mark is off, told while it is still on."""
    apart = match.taken_apart()
    if not apart.overlaps(here.with_fields(clean)):
        return None
    return Match.of(*(masked for masked in apart.fields if masked.field is not IP_DSCP))


def _refuse_unclear(flows: Iterable[Flow]) -> None:
    for flow in flows:
        if isolates(flow.instructions) is None:
            raise _refused(flow, "does what this version does not know, where others meter or track packets")
        conjunctive = flow.match.get(CONJ_ID) is not None
        if conjunctive or any(isinstance(action, Conjunction) for action in every_action(flow.instructions)):
            raise _refused(flow, "is part of a conjunction, where some flows meter or track packets and others do not")


def _refused(flow: Flow, why: str) -> RefusedError:
    return RefusedError(
        f"a production flow of the first table that packets of a patch port hit {why}: "
        f"{flow_text(flow.key, flow.cookie)}; traces through it would change what they share"
    )


@lru_cache(maxsize=REMEMBERED)
def isolates(instructions: tuple[Instruction, ...]) -> bool | None:
    """Whether Open vSwitch keeps apart the packets of a patch port that hit such a flow; None where we cannot tell.

    Only the flow's own actions count, not those inside ``clone`` or an action set.
    """
    if any(isinstance(instruction, Meter) for instruction in instructions):
        return True
    own = [action for entry in instructions if isinstance(entry, ApplyActions) for action in entry.actions]
    if any(map(_irreversible, own)):
        return True
    unknown = any(isinstance(action, UnknownAction) and action.name not in _UNDONE for action in own)
    return None if unknown or any(isinstance(entry, UnknownInstruction) for entry in instructions) else False


def _irreversible(action: Action) -> bool:
    truncates = isinstance(action, Output) and action.max_len > 0 and action.port != OFPP_CONTROLLER
    return truncates or isinstance(action, Conntrack | Nat | Meter)
