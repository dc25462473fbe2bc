"""Turns the boxes and arrows of a path into one inline SVG, left to right."""

from collections.abc import Iterator, Mapping, Sequence

from vtrace_ovs.rendering.graph import Graph
from vtrace_ovs.rendering.lines import Span
from vtrace_ovs.rendering.markup import COLOURS, box, svg, text, way

_CHARACTER = 7.4
_LINE = 16
_PADDING = 10
_GAP = 40
_MARGIN = 12
_LONGEST = 48
_INK, _PAPER = "#444444", "#fbfbfb"


def path_diagram(graph: Graph, title: str) -> str:
    """The graph as a drawing: a column per hop, a row per branch. Words longer than 48 characters are cut."""
    columns = _columns(graph)
    rows = _rows(graph)
    height = _LINE * max((len(one.words) for one in graph.boxes), default=1) + 2 * _PADDING
    tops = [_MARGIN + row * (height + _MARGIN) for row in rows]
    right = max((left + width for left, width in columns.values()), default=0.0)
    bottom = max((top + height for top in tops), default=float(height))
    return svg(
        right + _MARGIN,
        bottom + _MARGIN,
        title,
        *_arrows(graph, columns, tops, height),
        *_boxes(graph, columns, tops, height),
    )


def _boxes(
    graph: Graph, columns: Mapping[int, tuple[float, float]], tops: Sequence[float], height: float
) -> Iterator[str]:
    for one, top in zip(graph.boxes, tops, strict=True):
        left, width = columns[one.column]
        colour = COLOURS[one.style]
        if one.titled:
            yield box((left, top, width, height), _PAPER, colour, radius=4)
        base = top + (height - _LINE * len(one.words)) / 2 + _LINE * 0.75
        for number, words in enumerate(one.words):
            bold = one.titled and number < len(("server", "bridge"))
            fill = colour if bold or not one.titled else _INK
            yield text(left + _PADDING, base + _LINE * number, _cut(words), fill=fill, bold=bold)


def _arrows(
    graph: Graph, columns: Mapping[int, tuple[float, float]], tops: Sequence[float], height: float
) -> Iterator[str]:
    for arrow in graph.arrows:
        end = columns[graph.boxes[arrow.target].column][0]
        y = tops[arrow.target] + height / 2
        if arrow.source is None:
            start, above = float(_MARGIN), y
        else:
            left, width = columns[graph.boxes[arrow.source].column]
            start, above = left + width, tops[arrow.source] + height / 2
        # Down beside the box it leaves, so that branches do not cross each other's words.
        yield way(f"M{start:g},{above:g}h12V{y:g}H{end:g}m-6,-4l6,4l-6,4", _INK)
        for number, words in enumerate(reversed(arrow.words)):
            yield text(start + 16, y - 5 - _LINE * number, _cut(words), fill=_INK)


def _columns(graph: Graph) -> dict[int, tuple[float, float]]:
    """Of each column, where its boxes begin and how wide they are; before them is room for the words of arrows."""
    columns: dict[int, tuple[float, float]] = {}
    x = float(_MARGIN)
    for column in range(1 + max((one.column for one in graph.boxes), default=-1)):
        arrows = [arrow for arrow in graph.arrows if graph.boxes[arrow.target].column == column]
        x += _GAP + _widest(words for arrow in arrows for words in arrow.words)
        width = _widest(words for one in graph.boxes if one.column == column for words in one.words)
        columns[column] = (x, width + 2 * _PADDING)
        x += width + 2 * _PADDING
    return columns


def _rows(graph: Graph) -> list[int]:
    """Of each box, its row: the first way out of a box goes on in its row, every other in one of its own."""
    rows: list[int] = []
    used = 0
    continued: set[int | None] = set()
    for arrow in sorted(graph.arrows, key=lambda arrow: arrow.target):
        if arrow.source is not None and arrow.source not in continued:
            rows.append(rows[arrow.source])
        else:
            rows.append(used)
            used += 1
        continued.add(arrow.source)
    return rows


def _widest(words: Iterator[str]) -> float:
    return _CHARACTER * max((len(_cut(one)) for one in words), default=0)


def _cut(words: str) -> str:
    shown = Span(words).shown
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
