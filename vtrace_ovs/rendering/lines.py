"""Turns styled spans and branches into lines that are safe to print: nothing a tenant wrote reaches a terminal raw."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Style(Enum):
    """What a span of text means to the eye; ``terminal`` gives it a colour."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    STRONG = "strong"
    FAINT = "faint"


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one style."""

    text: str
    style: Style = Style.PLAIN

    @property
    def shown(self) -> str:
        """The text with every control, bidirectional or other unprintable character escaped (trap T49)."""
        if self.text.isprintable():
            return self.text
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in self.text)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a screen."""

    spans: tuple[Span, ...] = ()

    @property
    def shown(self) -> str:
        """The whole line, safe to print, without colours."""
        return "".join(span.shown for span in self.spans)


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree and the branches under it."""

    line: Line
    children: tuple["Branch", ...] = ()


def line(*parts: str | Span) -> Line:
    """A line of these parts; a bare string is plain."""
    return Line(tuple(Span(part) if isinstance(part, str) else part for part in parts))


def tree(branches: Sequence[Branch]) -> Iterator[Line]:
    """The lines of a tree, drawn with ``├─``, ``└─`` and ``│``."""
    return _grow(branches, "")


def _grow(branches: Sequence[Branch], prefix: str) -> Iterator[Line]:
    for number, branch in enumerate(branches, start=1):
        last = number == len(branches)
        yield Line((Span(prefix + ("└─ " if last else "├─ "), Style.FAINT), *branch.line.spans))
        yield from _grow(branch.children, prefix + ("   " if last else "│  "))


def plain_text(lines: Iterable[Line]) -> str:
    """The lines as text without colours, each ended by a newline."""
    return "".join(f"{one.shown.rstrip()}\n" for one in lines)


_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "→": "->", "├": "|", "└": "`", "│": "|", "─": "-", "·": "-", "—": "-", "–": "-", "…": "..."}  # noqa: RUF001 - the characters we replace
)


def to_ascii(text: str) -> str:
    """The text for a terminal that has no Unicode: our marks in ASCII, everything else escaped."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def encodable(text: str, encoding: str | None) -> str:
    """The text as a stream of this encoding can take it: unchanged for a Unicode encoding, else in ASCII."""
    name = (encoding or "ascii").lower().replace("-", "").replace("_", "")
    return text if name.startswith("utf") else to_ascii(text)
