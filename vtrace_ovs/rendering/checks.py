"""Turns what ``vtrace doctor`` found into its screen and its JSON document."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from vtrace_ovs.rendering.lines import Line, Span, Style, line

SCHEMA = 1


class Need(Enum):
    """What a check is for: nothing works without it, only the lab needs it, or it is good to know."""

    TRACING = "tracing"
    LAB = "lab"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and where it is not as needed, what to do."""

    name: str
    need: Need
    ok: bool
    found: str
    remedy: str = ""


def check_lines(checks: Sequence[Check]) -> Iterator[Line]:
    """One line per check, its remedy below, and a last line that sums up."""
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        yield line(_mark(check), f" {check.name:<{width}}  ", check.found)
        if not check.ok and check.remedy:
            yield line(" " * (width + 4), Span(check.remedy, Style.STRONG))
    yield line()
    yield line(*_sum(checks))


def checks_document(checks: Sequence[Check]) -> str:
    """The checks as JSON text."""
    listed = [
        {"name": one.name, "need": one.need.value, "ok": one.ok, "found": one.found, "remedy": one.remedy}
        for one in checks
    ]
    return json.dumps({"schema": SCHEMA, "checks": listed}, indent=2) + "\n"


def missing(checks: Sequence[Check], need: Need) -> bool:
    """Whether something of this need is not there."""
    return any(check.need is need and not check.ok for check in checks)


def _mark(check: Check) -> Span:
    if check.ok:
        return Span("✓", Style.GOOD)
    match check.need:
        case Need.TRACING:
            return Span("✗", Style.BAD)
        case Need.LAB | Need.ADVICE:
            return Span("?", Style.UNSURE)
        case _:
            assert_never(check.need)


def _sum(checks: Sequence[Check]) -> list[Span]:
    return [
        Span("Tracing cannot work here. ", Style.BAD)
        if missing(checks, Need.TRACING)
        else Span("Tracing can work here. ", Style.GOOD),
        Span("The lab cannot.", Style.UNSURE) if missing(checks, Need.LAB) else Span("So can the lab.", Style.GOOD),
    ]
