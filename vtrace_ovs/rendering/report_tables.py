"""Turns lookups, packets, near misses, counters and costs into the tables of an HTML report."""

from collections.abc import Iterator, Sequence

from vtrace_ovs.model.cost import ServerCost
from vtrace_ovs.model.records import CounterSample
from vtrace_ovs.model.trajectory import Hop, NearMiss, Step, Trajectory
from vtrace_ovs.model.verdict import PathGroup, TaskResult
from vtrace_ovs.model.wording import flow_text
from vtrace_ovs.rendering.lines import Style
from vtrace_ovs.rendering.page import Cell, Row, table
from vtrace_ovs.rendering.path import as_predicted, difference_phrase, hop_mark, near_miss_phrase, route_phrase
from vtrace_ovs.rendering.phrases import NO_VERDICT, cause_phrase, mark, share_phrase
from vtrace_ovs.rendering.screen import verdict_line

_PERCENT = 100.0


def lookup_table(group: PathGroup) -> str:
    """Every lookup of a path with its flow; the one that decided in the colour of what it did, with near misses."""
    return table(("VFD", "table", "flow", "actions", "near misses"), _lookups(group))


def _lookups(group: PathGroup) -> Iterator[Row]:
    for number, hop in enumerate(group.example.hops):
        walked = as_predicted(hop, group.prediction)
        deciding = len(walked.steps) - 1 if walked.deciding is None else walked.deciding
        for at, step in enumerate(walked.steps):
            style = hop_mark(group.example, group.verdict, number).style if at == deciding else Style.PLAIN
            yield _lookup(hop, step, style)


def _lookup(hop: Hop, step: Step, style: Style) -> Row:
    flow = "no flow matches" if step.flow is None else flow_text(step.flow, step.cookie)
    doubt = ("another flow of the same priority matches too",) if step.ambiguous else ()
    near = tuple(map(near_miss_phrase, step.near_misses))
    return str(hop.bridge), str(step.table_id), Cell((flow, *doubt), style), step.actions, Cell(near, Style.FAINT)


def loss_table(result: TaskResult) -> str:
    """Every distinct loss of a task, that of most packets first, with what is known of it."""
    rows = (
        (
            share_phrase(result, fate),
            Cell(
                (verdict_line(fate.verdict).shown, fate.verdict.operator_sentence), mark(fate.verdict.disposition).style
            ),
            fate.verdict.remedy,
            Cell(tuple(map(near_miss_phrase, fate.verdict.near_misses)), Style.FAINT),
            Cell(tuple(fact.sentence for fact in fate.verdict.evidence)),
        )
        for fate in result.losses
    )
    return table(("packets", "verdict", "remedy", "near misses", "evidence"), rows)


def near_miss_table(near_misses: Sequence[NearMiss]) -> str:
    """Flows that would have matched, and what they differ in."""
    rows = ((flow_text(near.flow, near.cookie), difference_phrase(near)) for near in near_misses)
    return table(("flow", "would have matched but for"), rows)


def packet_table(packets: Sequence[tuple[Trajectory, PathGroup | None]], groups: Sequence[PathGroup]) -> str:
    """One row per packet, with the number of its group among all groups, from 1."""
    heads = ("packet", "seen after, s", "traffic", "VFDs", "ending", "path", "verdict")
    started = min((way.first_seen for way, _ in packets if way.first_seen is not None), default=0.0)
    return table(heads, (_packet(way, group, started, groups) for way, group in packets))


def _packet(way: Trajectory, group: PathGroup | None, started: float, groups: Sequence[PathGroup]) -> Row:
    after = "" if way.first_seen is None else f"{way.first_seen - started:.6f}"
    name = way.packet_id if way.occurrence == 0 else f"{way.packet_id} ({way.occurrence + 1})"
    if group is None:
        path, verdict = "", Cell((NO_VERDICT,), Style.UNSURE)
    else:
        path = str(1 + groups.index(group))
        cause = cause_phrase(group.verdict)
        words = f"{group.verdict.disposition.value}{f': {cause}' if cause else ''}"
        verdict = Cell((words,), mark(group.verdict.disposition).style)
    return name, after, traffic_phrase(way), route_phrase(way), way.ending.value, path, verdict


def traffic_phrase(way: Trajectory) -> str:
    """The five-tuple, and what NAT made of it."""
    entered = "unreadable headers" if way.five_tuple is None else str(way.five_tuple)
    return entered if way.nat_key is None else f"{entered}, then {way.nat_key}"


def counter_table(samples: Sequence[CounterSample]) -> str:
    """Counters read more than once that were not the same each time: the first and the last reading of each."""
    readings: dict[tuple[object, ...], list[CounterSample]] = {}
    for sample in samples:
        readings.setdefault((sample.bridge, sample.kind, sample.subject), []).append(sample)
    changes = ((min(found, key=_read_at), max(found, key=_read_at)) for found in readings.values())
    rows = (
        (
            str(last.bridge),
            last.kind.value,
            last.subject,
            f"{last.packets - first.packets:+d}",
            f"{last.dropped - first.dropped:+d}",
        )
        for first, last in changes
        if (first.packets, first.dropped) != (last.packets, last.dropped)
    )
    return table(("VFD", "counter", "of", "packets", "dropped"), rows)


def _read_at(sample: CounterSample) -> float:
    return sample.read_at


def cost_table(costs: Sequence[ServerCost]) -> str:
    """One row per server; what is not known is empty."""
    rows = (
        (
            cost.node,
            str(cost.copies),
            *("" if number is None else f"{number:+d}" for number in (cost.megaflows, cost.masks)),
            "" if cost.upcalls is None else str(cost.upcalls),
            "" if cost.cpu_share is None else f"{cost.cpu_share * _PERCENT:.1f} %",
        )
        for cost in costs
    )
    return table(("server", "copies", "megaflows", "masks", "upcalls", "CPU"), rows)
