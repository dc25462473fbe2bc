"""Turns lines into text with ANSI colours, for a stream that is a terminal. The only file that knows rich."""

from collections.abc import Iterable
from io import StringIO

from rich.console import Console
from rich.text import Text

from vtrace_ovs.rendering.lines import Line, Style

_COLOURS = {
    Style.PLAIN: "",
    Style.GOOD: "green",
    Style.BAD: "bold red",
    Style.UNSURE: "yellow",
    Style.STRONG: "bold",
    Style.FAINT: "dim",
}


def coloured_text(lines: Iterable[Line]) -> str:
    """The lines with colours. They are never wrapped or cut, and rich's markup in them means nothing."""
    buffer = StringIO()
    console = Console(file=buffer, force_terminal=True, color_system="standard", legacy_windows=False, _environ={})
    for one in lines:
        text = Text()
        for span in one.spans:
            text.append(span.shown, _COLOURS[span.style])
        console.print(text, soft_wrap=True)
    return buffer.getvalue()
