"""Turns what one benchmark measured into its section of docs/benchmarks.md, and into the same table on the screen."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import comb
from pathlib import Path
from timeit import repeat

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
TOP = """# Benchmarks

Written by `make bench`, `make equivalence` and `make fuzz`, never by hand: every section is what one script printed
last. The machines are shared and their cores noisy, so absolute times vary between runs by half and more; where a
comparator exists it ran in the same run, and the ratio is what counts. Where none does, compare how long ten million
additions in Python took beside it.
"""
CONFIDENCE = 0.95
ORDER = (
    "live",
    "scale",
    "overhead",
    "threads",
    "walker",
    "decoder",
    "trajectories",
    "ingestion",
    "memory",
    "equivalence",
    "fuzz",
)


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page. ``key`` is its place in ``ORDER``; ``notes`` say how it was measured.

    ``chart`` is an image beside the page.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str] = ()
    chart: str | None = None

    def markdown(self) -> str:
        """The section as it stands on the page."""
        lines = [f"## {self.title}", "", machine(), "", _row(self.header), _row("---" for _ in self.header)]
        lines += [_row(row) for row in self.rows]
        lines += ["", f"![{self.title}]({self.chart})"] if self.chart is not None else []
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"


def publish(section: Section) -> None:
    """Print the section, and put it in its place on the page."""
    body = section.markdown()
    print(body, flush=True)
    sections = _sections() | {section.key: body}
    parts = [f"<!-- {key} -->\n{sections[key]}" for key in ORDER if key in sections]
    PAGE.write_text("\n".join([TOP, *parts]), encoding="utf-8")


def milliseconds(seconds: float) -> str:
    """A time for a cell."""
    return f"{seconds * 1e3:.1f} ms"


def microseconds(seconds: float) -> str:
    """A time for a cell."""
    return f"{seconds * 1e6:.1f} µs"


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed; of few values the highest counts as p99."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1)]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Between which two of the values the median of all such values lies, as sure as ``CONFIDENCE``.

    Order statistics, binomial; of fewer than six values the lowest and the highest, which is less sure.
    """
    ordered, count, outside, below = sorted(values), len(values), 0.0, 0
    while (outside := outside + 2 * comb(count, below) / 2**count) <= 1 - CONFIDENCE:
        below += 1
    return ordered[max(below - 1, 0)], ordered[-max(below, 1)]


def verdict(measured: float, bar: float) -> str:
    """Whether a bar was met in this run."""
    return "met" if measured <= bar else "**missed**"


def _sections() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    parts = re.split(r"^<!-- ([a-z]+) -->\n", text, flags=re.MULTILINE)[1:]
    return {key: body.rstrip("\n") + "\n" for key, body in zip(parts[::2], parts[1::2], strict=True)}


def machine() -> str:
    """What it was measured on, and when."""
    ovs = subprocess.run(["ovs-vswitchd", "--version"], capture_output=True, text=True, check=False).stdout
    version = found[0] if (found := re.findall(r"[0-9]+\.[0-9.]+[0-9]", ovs)) else "not installed"
    return (
        f"{datetime.now(UTC):%Y-%m-%d} · {os.cpu_count()} shared cores, load {os.getloadavg()[0]:.1f} · "
        f"Python {platform.python_version()} · Open vSwitch {version} · ten million additions {_pace():.2f} s"
    )


def _pace() -> float:
    """How fast a core is at this moment: seconds that ten million additions take, the best of three."""
    return min(repeat("for number in range(10**7): total += number", "total = 0", number=1, repeat=3))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
