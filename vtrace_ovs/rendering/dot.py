"""Turns results into a graph in the DOT language: one cluster per group of packets (Graphviz, "DOT Language")."""

from collections.abc import Iterator, Sequence

from vtrace_ovs.model.verdict import PathGroup, TaskResult
from vtrace_ovs.rendering.graph import group_graph
from vtrace_ovs.rendering.lines import Span
from vtrace_ovs.rendering.markup import COLOURS
from vtrace_ovs.rendering.phrases import packets_phrase
from vtrace_ovs.rendering.screen import verdict_line


def results_dot(results: Sequence[TaskResult]) -> str:
    """A whole DOT file; a task and the one for its replies are two results of one file."""
    return "".join(_lines(results))


def _lines(results: Sequence[TaskResult]) -> Iterator[str]:
    yield 'digraph vtrace {\n  rankdir=LR;\n  node [shape=box, fontname="monospace"];\n  edge [fontname="monospace"];\n'
    for result in results:
        for number, group in enumerate(result.groups):
            yield from _cluster(f"task{result.task_id}_{number}", result, group)
        if not result.groups:
            yield f"  task{result.task_id} [label={_quoted(verdict_line(result.verdict).shown)}];\n"
    yield "}\n"


def _cluster(name: str, result: TaskResult, group: PathGroup) -> Iterator[str]:
    traffic = "unreadable headers" if group.example.five_tuple is None else str(group.example.five_tuple)
    title = (
        f"{group.packets} of {packets_phrase(result.packets)}: {traffic}",
        verdict_line(group.verdict).shown,
    )
    yield f'  subgraph cluster_{name} {{\n    label={_left(*title)}; labeljust=l; fontname="monospace";\n'
    graph = group_graph(group)
    for number, box in enumerate(graph.boxes):
        shape = "" if box.titled else ", shape=plaintext"
        colour = COLOURS[box.style]
        yield f'    {name}_{number} [label={_quoted(*box.words)}, color="{colour}", fontcolor="{colour}"{shape}];\n'
    for arrow in graph.arrows:
        source = f"{name}_{arrow.source}"
        if arrow.source is None:
            source = f"{name}_from_{arrow.target}"
            yield f"    {source} [shape=point];\n"
        yield f"    {source} -> {name}_{arrow.target} [label={_quoted(*arrow.words)}];\n"
    yield "  }\n"


def _quoted(*words: str) -> str:
    """A quoted string of these lines; DOT reads backslashes, quotes and HTML entities in it."""
    lines = "\\n".join(_safe(words))
    return f'"{lines}"'


def _left(*words: str) -> str:
    """The same, each line flush left."""
    lines = "\\l".join((*_safe(words), ""))
    return f'"{lines}"'


def _safe(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(Span(one).shown.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for one in words)
