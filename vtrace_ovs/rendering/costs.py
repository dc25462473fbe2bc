"""Turns what a trace cost each server into a line for each."""

from collections.abc import Iterator, Sequence

from vtrace_ovs.model.cost import ServerCost, ServerReading
from vtrace_ovs.rendering.lines import Line, Span, Style, line

_PERCENT = 100.0


def cost_lines(costs: Sequence[ServerCost], detail: int) -> Iterator[Line]:
    """``cost: cs1 +3 megaflows, +1 mask, 12 upcalls, 40 copies, 0.4 % CPU`` of the servers that sent copies.

    ``detail`` shows every server, and the readings themselves.
    """
    for cost in costs:
        if detail or cost.copies:
            yield line(Span(f"cost: {cost.node} {', '.join(_figures(cost))}", Style.FAINT))
            if detail:
                yield from _readings(cost)


def _figures(cost: ServerCost) -> Iterator[str]:
    """What is not known is not mentioned."""
    if cost.megaflows is not None:
        yield f"{cost.megaflows:+d} megaflow{_s(cost.megaflows)}"
    if cost.masks is not None:
        yield f"{cost.masks:+d} mask{_s(cost.masks)}"
    if cost.upcalls is not None:
        yield f"{cost.upcalls} upcall{_s(cost.upcalls)}"
    yield f"{cost.copies} {'copy' if cost.copies == 1 else 'copies'}"
    if cost.cpu_share is not None:
        yield f"{cost.cpu_share * _PERCENT:.1f} % CPU"


def _s(count: int) -> str:
    return "" if abs(count) == 1 else "s"


def _readings(cost: ServerCost) -> Iterator[Line]:
    for moment, reading in (("before", cost.before), ("during", cost.during), ("after", cost.after)):
        if reading is not None:
            yield line(Span(f"  {moment}: {_reading(reading)}", Style.FAINT))


def _reading(reading: ServerReading) -> str:
    known = (
        (reading.megaflows, "megaflows"),
        (reading.masks, "masks"),
        (reading.upcalls, "upcalls since it started"),
    )
    counts = [f"{number} {what}" for number, what in known if number is not None]
    spent = [] if reading.cpu_seconds is None else [f"{reading.cpu_seconds:.3f} s of CPU"]
    return ", ".join((*counts, *spent)) or "nothing known"
