"""Turns usage statistics into one SVG: the CDFs of Figure 9, the weeks of Figure 10 and the causes of Table 4."""

from collections.abc import Iterator

from vtrace_ovs.model.task import PACKET_COUNT_RANGE, TRACE_TIME_RANGE
from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.usage import Distribution, Usage
from vtrace_ovs.model.verdict import CauseCategory
from vtrace_ovs.rendering.markup import box, svg, text, way

_WIDTH, _HEIGHT = 860, 640
_PANE_WIDTH, _PANE_HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _MIDDLE = 50, 480, 50, 350
_INK, _GRID, _TASKS, _LOSSES = "#222", "#ddd", "#4a78b5", "#c0392b"
_ROLES: tuple[tuple[str, tuple[BridgeRole | None, ...], str], ...] = (
    ("vSwitch", (BridgeRole.VSWITCH,), "#4a78b5"),
    ("vRouter", (BridgeRole.VROUTER,), "#e08e2b"),
    ("other", (BridgeRole.UNDERLAY, None), "#999"),
)
_LABELLED_WEEKS = 6


def usage_chart(usage: Usage) -> str:
    """A whole SVG file, without scripts and without anything from elsewhere."""
    return svg(
        _WIDTH,
        _HEIGHT,
        f"{usage.tasks} tasks, {usage.losses} losses",
        box((0, 0, _WIDTH, _HEIGHT), "#fff"),
        *_cumulative(_LEFT, "packet_count (CDF of tasks)", usage.packet_counts, PACKET_COUNT_RANGE[-1]),
        *_cumulative(_RIGHT, "trace_time, s (CDF of tasks)", usage.trace_times, TRACE_TIME_RANGE[-1]),
        *_weeks(usage),
        *_causes(usage),
    )


def _cumulative(left: float, title: str, values: Distribution, largest: int) -> Iterator[str]:
    yield text(left, _TOP - 14, title, bold=True)
    bottom = _TOP + _PANE_HEIGHT
    for quarter in range(5):
        height = bottom - _PANE_HEIGHT * quarter / 4
        yield way(f"M{left},{height:g}h{_PANE_WIDTH}", _GRID)
        yield text(left - 6, height + 4, f"{quarter / 4:.2f}", anchor="end")
        x = left + _PANE_WIDTH * quarter / 4
        yield text(x, bottom + 18, round(largest * quarter / 4), anchor="middle")
    steps = "".join(
        f"H{left + _PANE_WIDTH * value / largest:.1f}V{bottom - _PANE_HEIGHT * share:.1f}"
        for value, share in values.cumulative()
    )
    yield way(f"M{left},{bottom}{steps}H{left + _PANE_WIDTH}", _TASKS, width=2)


def _weeks(usage: Usage) -> Iterator[str]:
    yield text(_LEFT, _MIDDLE - 14, "tasks per week", fill=_TASKS, bold=True)
    yield text(_LEFT + 120, _MIDDLE - 14, "of them losses", fill=_LOSSES, bold=True)
    bottom = _MIDDLE + _PANE_HEIGHT
    most = max((week.tasks for week in usage.weeks), default=1)
    yield text(_LEFT - 6, _MIDDLE + 8, most, anchor="end")
    yield text(_LEFT - 6, bottom, 0, anchor="end")
    place = _PANE_WIDTH / max(len(usage.weeks), 1)
    bar = min(place * 0.8, 40)
    every = -(-len(usage.weeks) // _LABELLED_WEEKS)
    for number, week in enumerate(usage.weeks):
        x = _LEFT + place * number
        for count, colour in ((week.tasks, _TASKS), (week.losses, _LOSSES)):
            height = _PANE_HEIGHT * count / most
            yield box((round(x, 2), round(bottom - height, 2), round(bar, 2), round(height, 2)), colour)
        if number % every == 0:
            yield text(round(x, 2), bottom + 18, week.monday.strftime("%y-%m-%d"))
    yield way(f"M{_LEFT},{bottom}h{_PANE_WIDTH}", _INK)


def _causes(usage: Usage) -> Iterator[str]:
    yield text(_RIGHT, _MIDDLE - 14, "losses by cause", bold=True)
    for number, (name, _, colour) in enumerate(_ROLES):
        key = _RIGHT + 135 + 80 * number
        yield box((key, _MIDDLE - 24, 10, 10), colour)
        yield text(key + 15, _MIDDLE - 14, name)
    totals = [(category, usage.caused((category,), (*BridgeRole, None))) for category in CauseCategory]
    present = [(category, total) for category, total in totals if total]
    most = max((total for _, total in present), default=1)
    for row, (category, total) in enumerate(present):
        y = _MIDDLE + 24 * row
        yield text(_RIGHT + 130, y + 14, category.value, anchor="end")
        x = _RIGHT + 138.0
        for _, roles, colour in _ROLES:
            width = (_PANE_WIDTH - 190) * usage.caused((category,), roles) / most
            yield box((round(x, 2), y + 2, round(width, 2), 16), colour)
            x += width
        yield text(round(x, 2) + 6, y + 14, total)
