"""Turns a trajectory into a tree: server → bridge → tables, with ✓ and ✗ and the header changes of each hop."""

from dataclasses import dataclass
from itertools import groupby
from typing import assert_never

from vtrace_ovs.model.records import Loc
from vtrace_ovs.model.trajectory import Ending, HeaderChange, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.rendering.lines import Branch, Line, Span, Style, line
from vtrace_ovs.rendering.phrases import port_phrase, tunnel_phrase

_PASS = Span("✓", Style.GOOD)
_FAIL = Span("✗", Style.BAD)
_DOUBT = Span("?", Style.UNSURE)
_LOST_HERE = frozenset({Ending.DROPPED, Ending.OPEN, Ending.LOOPED})
_ARRIVED = frozenset({Ending.HANDED_TO_PORT, Ending.EXITED})
_MILLISECOND = 1e-3


@dataclass(frozen=True, slots=True)
class _View:
    """What the branches of one trajectory have in common."""

    trajectory: Trajectory
    verdict: Verdict
    detail: int
    prediction: Trajectory | None


def path_branches(
    trajectory: Trajectory, verdict: Verdict, detail: int, prediction: Trajectory | None = None
) -> tuple[Branch, ...]:
    """The tree of one trajectory.

    An observed hop knows only the flow that let the packet out or dropped it; the tables before it are taken from
    ``prediction`` where that went the same way to the same flow.

    ``detail`` 0 lists the tables of a hop in one line and shows only the flow that decided; 1 shows every flow with its
    actions; 2 adds near misses, cookies and times.
    """
    view = _View(trajectory, verdict, detail, prediction)
    numbered = enumerate(trajectory.hops)
    return tuple(
        Branch(line(Span(node, Style.STRONG)), tuple(_hop(view, number, hop) for number, hop in visits))
        for node, visits in groupby(numbered, key=lambda visit: visit[1].bridge.node)
    )


def route_phrase(trajectory: Trajectory) -> str:
    """The bridges in order: ``server1/br-int → server2/br-int``."""
    return " → ".join(str(hop.bridge) for hop in trajectory.hops) or "seen nowhere"


def _hop(view: _View, number: int, hop: Hop) -> Branch:
    title = line(
        hop_mark(view.trajectory, view.verdict, number), " ", Span(hop.bridge.name, Style.STRONG), "  ", _passage(hop)
    )
    origin = _detour(view.trajectory, number, hop)
    changes = [Branch(_change(change)) for change in hop.changes]
    end = _ending(view, number, hop)
    parts = [*origin, *_lookups(view, number, hop), *changes, *end]
    if view.detail > 1 and view.trajectory.origin is Origin.OBSERVED:
        parts.append(Branch(line(Span(_provenance(hop), Style.FAINT))))
    return Branch(title, tuple(parts))


def hop_mark(trajectory: Trajectory, verdict: Verdict, number: int) -> Span:
    """✓ where a packet got on from its hop of this index, ✗ where it did not, ? where that is not known."""
    hop, ending = trajectory.hops[number], ending_of(trajectory, number)
    if hop.drop is not None:
        return _FAIL
    if ending in _LOST_HERE:
        return _loss(verdict)
    return _DOUBT if ending is Ending.UNKNOWN else _PASS


def _loss(verdict: Verdict) -> Span:
    """✗ where the verdict calls it a loss, ? where it does not dare to."""
    return _FAIL if verdict.disposition.is_loss else _DOUBT


def ending_of(trajectory: Trajectory, number: int) -> Ending | None:
    """How the branch that ends in the hop of this index ends; None for a hop that others came from."""
    hop = trajectory.hops[number]
    last = number == len(trajectory.hops) - 1
    return trajectory.ending if last and hop.ending is None else hop.ending


def _passage(hop: Hop) -> str:
    arrival = [port_phrase(hop.in_port)] if hop.in_port is not None else ["unknown port"]
    if hop.arrived_by is not None:
        arrival.append(tunnel_phrase(hop.arrived_by, leaving=False))
    departure = [port_phrase(hop.out_port)] if hop.out_port is not None else []
    if hop.left_by is not None:
        departure.append(tunnel_phrase(hop.left_by, leaving=True))
    came = "in " + ", ".join(arrival)
    return f"{came} → out {', '.join(departure)}" if departure else came


def _detour(trajectory: Trajectory, number: int, hop: Hop) -> list[Branch]:
    """A copy that does not come from the hop above it says where it comes from."""
    if hop.parent is None or not 0 <= hop.parent < number - 1:
        return []
    return [Branch(line(Span(f"a copy from {trajectory.hops[hop.parent].bridge}", Style.FAINT)))]


def _lookups(view: _View, number: int, hop: Hop) -> list[Branch]:
    walked = as_predicted(hop, view.prediction)
    if not walked.steps:
        return []
    mark = hop_mark(view.trajectory, view.verdict, number)
    deciding = len(walked.steps) - 1 if walked.deciding is None else walked.deciding
    marks = [mark if at == deciding else _PASS for at in range(len(walked.steps))]
    marked = tuple(zip(walked.steps, marks, strict=True))
    if view.detail:
        return [_step(view, hop, step, stopped) for step, stopped in marked]
    tables: list[str | Span] = ["tables "]
    for at, step in enumerate(walked.steps):
        tables += [" → " if at else "", str(step.table_id), *((" ", mark) if at == deciding else ())]
    return [
        Branch(line(*tables)),
        *(_step(view, hop, step, mark) for step, sign in marked if sign is not _PASS),
    ]


def decisive(hop: Hop) -> Step | None:
    """The lookup whose flow (or lack of one) sent or stopped the packet; None where none is known."""
    at = len(hop.steps) - 1 if hop.deciding is None else hop.deciding
    return hop.steps[at] if 0 <= at < len(hop.steps) else None


def as_predicted(hop: Hop, prediction: Trajectory | None) -> Hop:
    """The predicted visit that looks just like this one and ends in the same flow; the visit itself without one."""
    if prediction is None or not hop.steps:
        return hop
    place, seen = (hop.bridge, hop.in_port, hop.dscp_mark), (hop.steps[-1].table_id, hop.steps[-1].flow)
    for other in prediction.hops:
        if (other.bridge, other.in_port, other.dscp_mark) == place and len(other.steps) > 1:
            last = decisive(other)
            if last is not None and (last.table_id, last.flow) == seen:
                return other
    return hop


def _step(view: _View, hop: Hop, step: Step, stopped: Span) -> Branch:
    culprit = view.verdict.culprit
    named = culprit is not None and culprit.bridge == hop.bridge and culprit.table_id == step.table_id
    name = culprit.table_name if culprit is not None and named else None
    cookie = step.cookie if view.detail > 1 or stopped is not _PASS else None
    found = flow_text(step.flow, cookie) if step.flow is not None else f"table={step.table_id}, no flow matches"
    notes = [Branch(line(Span(f"actions={step.actions}", Style.FAINT)))] if step.actions else []
    if step.ambiguous:
        notes.append(
            Branch(
                line(
                    Span("another flow of the same priority matches too: OpenFlow leaves the choice open", Style.UNSURE)
                )
            )
        )
    if view.detail > 1:
        notes += [Branch(near_miss_line(near)) for near in step.near_misses]
    return Branch(line(stopped, f" {name}: {found}" if name else f" {found}"), tuple(notes))


def near_miss_line(near: NearMiss) -> Line:
    """``near miss: <flow> would have matched but for …``."""
    return line(Span(f"near miss: {near_miss_phrase(near)}", Style.FAINT))


def near_miss_phrase(near: NearMiss) -> str:
    """``<flow> would have matched but for tcp_dst: the packet has 443, the flow wants 80``."""
    but = "would have matched but for " if near.differences else ""
    return f"{flow_text(near.flow, near.cookie)} {but}{difference_phrase(near)}"


def difference_phrase(near: NearMiss) -> str:
    """``tcp_dst: the packet has 443, the flow wants 80``."""
    if not near.differences:
        return "matches as well, with the same priority"
    return "; ".join(
        f"{field}: the packet has {had}, the flow wants {wanted}" for field, wanted, had in near.differences
    )


def _change(change: HeaderChange) -> Line:
    return line(f"{change.field}: {change.old} → ", Span(change.new, Style.STRONG))


def _ending(view: _View, number: int, hop: Hop) -> list[Branch]:
    sentences = []
    if hop.inferred:
        sentences.append(line(Span("no record of this hop: a later one proves it", Style.UNSURE)))
    if hop.unmarked and ending_of(view.trajectory, number) not in _ARRIVED:
        sentences.append(line(Span("left without a mark: no later VFD would have logged it", Style.UNSURE)))
    if hop.unsupported is not None:
        sentences.append(line(Span(f"stopped at {hop.unsupported}, which this version does not model", Style.UNSURE)))
    if hop.drop is not None:
        sentences.append(line(Span(hop.drop.value, Style.BAD)))
    if hop.note is not None:
        sentences.append(line(hop.note))
    sentences += last_words(view.verdict, hop, ending_of(view.trajectory, number))
    return [Branch(sentence) for sentence in sentences]


def last_words(verdict: Verdict, hop: Hop, ending: Ending | None) -> list[Line]:
    """How a branch ended that ended in this hop; nothing where its flow or a drop says so already."""
    match ending:
        case Ending.HANDED_TO_PORT:
            port = "a port" if hop.out_port is None else port_phrase(hop.out_port)
            return [line(Span(f"handed to {port}", Style.GOOD))]
        case Ending.EXITED:
            return [line(Span("left the overlay", Style.GOOD))]
        case Ending.OPEN:
            return [line("came in, and was not seen to leave or to be dropped")]
        case Ending.ON_WIRE:
            return [line(_loss(verdict), f" sent{_beyond(verdict)}, and never seen again")]
        case Ending.LOOPED:
            return [line(Span("came back with the same headers: a loop", Style.BAD))]
        case Ending.DROPPED | Ending.UNKNOWN | None:
            return []
        case _:
            assert_never(ending)


def _beyond(verdict: Verdict) -> str:
    beyond = verdict.culprit and (verdict.culprit.next_bridge or verdict.culprit.next_node)
    return f" to {beyond}" if beyond else ""


def _provenance(hop: Hop) -> str:
    seen = ", ".join(loc.value for loc in Loc if loc in hop.seen) or "none"
    facts = [f"hop {hop.dscp_mark}", f"records: {seen}"]
    if hop.meters:
        facts.append("meters " + ", ".join(str(meter) for meter in hop.meters))
    if hop.entered_at is not None and hop.left_at is not None:
        facts.append(f"{(hop.left_at - hop.entered_at) / _MILLISECOND:.3f} ms inside")
    return "; ".join(facts)


def origin_phrase(trajectory: Trajectory) -> str:
    """Whether the way was seen or computed."""
    match trajectory.origin:
        case Origin.OBSERVED:
            return "observed"
        case Origin.PREDICTED:
            return "predicted from the flow tables"
