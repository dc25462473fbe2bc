"""Turns usage statistics into their screen and their JSON document."""

import json
from collections.abc import Iterator, Sequence

from vtrace_ovs.model.task import PACKET_COUNT_RANGE, TRACE_TIME_RANGE
from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.usage import TABLE_4, Distribution, Usage
from vtrace_ovs.model.verdict import CauseCategory
from vtrace_ovs.rendering.lines import Line, Span, Style, line

SCHEMA = 1
PACKET_COUNT_BINS = ((1, 9), (10, 30), (31, 100), (101, PACKET_COUNT_RANGE[-1]))
TRACE_TIME_BINS = ((1, 9), (10, 40), (41, 499), (500, TRACE_TIME_RANGE[-1]))
"""The paper's text speaks of 10-30 packets, of 10-40 and of 500-600 seconds."""

ELSEWHERE = (BridgeRole.UNDERLAY, None)
_COLUMNS: tuple[tuple[str, tuple[BridgeRole | None, ...]], ...] = (
    ("vSwitch", (BridgeRole.VSWITCH,)),
    ("vRouter", (BridgeRole.VROUTER,)),
    ("other", ELSEWHERE),
    ("total", (*BridgeRole, None)),
)
_BAR = 30
_NAME = max(len(category.value) for category in CauseCategory)


def usage_lines(usage: Usage) -> Iterator[Line]:
    """The whole screen: tasks and losses, both distributions, every week, and what caused the losses."""
    if not usage.tasks:
        yield line("no tasks that trace packets")
        return
    yield line(
        Span(
            f"{usage.tasks} task{'' if usage.tasks == 1 else 's'}, {usage.with_result} with a result, "
            f"{usage.losses} of them a loss",
            Style.STRONG,
        )
    )
    yield from _distribution("Packets asked for", usage.packet_counts, PACKET_COUNT_BINS)
    yield from _distribution("Seconds asked for", usage.trace_times, TRACE_TIME_BINS)
    yield from _weeks(usage)
    yield from _causes(usage)


def _distribution(title: str, values: Distribution, bins: Sequence[tuple[int, int]]) -> Iterator[Line]:
    yield from _title(title)
    for first, last in bins:
        count = values.between(first, last)
        yield line(
            f"  {f'{first}-{last}':>8}  {count:>6}  {_percent(count, values.tasks):>7}  {_bar(count, values.tasks)}"
        )


def _weeks(usage: Usage) -> Iterator[Line]:
    yield from _title("Weeks (from Monday, UTC): tasks, losses (#)")
    most = max(week.tasks for week in usage.weeks)
    for week in usage.weeks:
        lost, others = _bar(week.losses, most), _bar(week.tasks, most)
        yield line(
            f"  {week.monday.isoformat()}  {week.tasks:>6}  {week.losses:>6}  ",
            Span(lost, Style.BAD),
            Span("-" * (len(others) - len(lost)), Style.FAINT),
        )


def _causes(usage: Usage) -> Iterator[Line]:
    if not usage.causes:
        return
    shared = [category for category in TABLE_4 if usage.caused((category,), (*BridgeRole, None))]
    others = [one for one in CauseCategory if one not in TABLE_4 and usage.caused((one,), (*BridgeRole, None))]
    heading = "".join(f"{name:>16}" for name, _ in _COLUMNS)
    yield from _title(f"{'Losses by cause':<{_NAME + 2}}{heading}")
    whole = usage.caused(TABLE_4, (*BridgeRole, None))
    for category in shared:
        yield _cause(category.value, usage, (category,), whole)
    if whole:
        yield _cause("total", usage, TABLE_4, whole)
    for category in others:
        yield _cause(category.value, usage, (category,), 0)


def _cause(name: str, usage: Usage, categories: Sequence[CauseCategory], whole: int) -> Line:
    """Counts, with their share of the losses of Table 4 where they belong to it."""
    counts = [usage.caused(categories, roles) for _, roles in _COLUMNS]
    cells = (f"{count} ({_percent(count, whole)})" if whole else str(count) for count in counts)
    return line(f"  {name:<{_NAME}}" + "".join(f"{cell:>16}" for cell in cells))


def _title(words: str) -> Iterator[Line]:
    yield Line()
    yield line(Span(words, Style.STRONG))


def _percent(count: int, whole: int) -> str:
    return f"{100 * count / whole:.1f} %"


def _bar(count: int, most: int) -> str:
    """At least one mark for anything that is there."""
    return "#" * (max(1, round(_BAR * count / most)) if count else 0)


def usage_document(usage: Usage) -> str:
    """The statistics as JSON text (``docs/json.md``)."""
    document = {
        "schema": SCHEMA,
        "tasks": usage.tasks,
        "with_result": usage.with_result,
        "losses": usage.losses,
        "packet_count": _steps(usage.packet_counts),
        "trace_time": _steps(usage.trace_times),
        "weeks": [
            {"monday": week.monday.isoformat(), "tasks": week.tasks, "losses": week.losses} for week in usage.weeks
        ],
        "causes": [
            {
                "category": one.category.value,
                "role": None if one.role is None else one.role.value,
                "losses": one.tasks,
                "in_table_4": one.category in TABLE_4,
            }
            for one in usage.causes
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _steps(values: Distribution) -> list[dict[str, object]]:
    return [
        {"value": value, "tasks": count, "cumulative_share": share}
        for (value, count), (_, share) in zip(values.counts, values.cumulative(), strict=True)
    ]
