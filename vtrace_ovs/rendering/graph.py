"""Turns a trajectory into boxes and arrows: the VFDs it visited, what it took between them, and how it ended."""

from dataclasses import dataclass

from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import PathGroup, Verdict
from vtrace_ovs.rendering.lines import Style
from vtrace_ovs.rendering.path import decisive, ending_of, hop_mark, last_words
from vtrace_ovs.rendering.phrases import port_phrase, table_phrase, tunnel_phrase

Visit = tuple[int | None, object]


@dataclass(frozen=True, slots=True)
class Box:
    """A VFD visited (titled), or an end of the way. ``column`` counts from 0, where the packet came in."""

    words: tuple[str, ...]
    style: Style
    column: int
    titled: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another, by index. None: from outside."""

    source: int | None
    target: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, each after the one it was reached from, and an arrow into each."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def group_graph(group: PathGroup) -> Graph:
    """The way of the packets of one group."""
    return path_graph(group.example, group.verdict)


def path_graph(trajectory: Trajectory, verdict: Verdict) -> Graph:
    """One box per visit of a VFD, however many ports it left by, and one for each end."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    visits: dict[Visit, int] = {}
    at: list[int] = []
    for number, hop in enumerate(trajectory.hops):
        parent = hop.parent if hop.parent is not None and 0 <= hop.parent < number else None
        source = None if parent is None else at[parent]
        key = (source, (hop.bridge, hop.dscp_mark, hop.in_port, hop.arrived_by))
        style = hop_mark(trajectory, verdict, number).style
        if key not in visits:
            visits[key] = len(boxes)
            column = 0 if source is None else boxes[source].column + 1
            boxes.append(Box(_visit(hop), style, column, titled=True))
            arrows.append(
                Arrow(source, visits[key], _passage(hop, None if parent is None else trajectory.hops[parent]))
            )
        at.append(visits[key])
        words = _end(trajectory, verdict, number)
        if words:
            arrows.append(Arrow(at[number], len(boxes), _departure(hop)))
            boxes.append(Box(words, style, boxes[at[number]].column + 1, titled=False))
    return Graph(tuple(boxes), tuple(arrows))


def _visit(hop: Hop) -> tuple[str, ...]:
    seen = () if not hop.inferred else ("not seen: a later hop proves it",)
    return (hop.bridge.node, hop.bridge.name, *seen, *(f"{one.field}: {one.old} → {one.new}" for one in hop.changes))


def _passage(hop: Hop, parent: Hop | None) -> tuple[str, ...]:
    arrival = () if hop.in_port is None else (f"in {port_phrase(hop.in_port)}",)
    if parent is not None:
        return (*_departure(parent), *arrival)
    return arrival if hop.arrived_by is None else (*arrival, tunnel_phrase(hop.arrived_by, leaving=False))


def _departure(hop: Hop) -> tuple[str, ...]:
    departure = () if hop.out_port is None else (f"out {port_phrase(hop.out_port)}",)
    return departure if hop.left_by is None else (*departure, tunnel_phrase(hop.left_by, leaving=True))


def _end(trajectory: Trajectory, verdict: Verdict, number: int) -> tuple[str, ...]:
    """How the branch of a hop ends, and the table that decided it; nothing where it goes on."""
    hop, ending = trajectory.hops[number], ending_of(trajectory, number)
    if ending is None:
        return ()
    words = tuple(one.shown.strip() for one in last_words(verdict, hop, ending)) or (ending.value,)
    drop = () if hop.drop is None else (hop.drop.value,)
    return (*words, *drop, *_deciding(verdict, hop)) if ending is Ending.DROPPED else (*words, *drop)


def _deciding(verdict: Verdict, hop: Hop) -> tuple[str, ...]:
    step, culprit = decisive(hop), verdict.culprit
    if step is None:
        return ()
    named = culprit is not None and (culprit.bridge, culprit.table_id) == (hop.bridge, step.table_id)
    return (table_phrase(step.table_id, culprit.table_name if culprit is not None and named else None),)
