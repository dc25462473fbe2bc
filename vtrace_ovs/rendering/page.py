"""Turns headings, sentences and tables of plain text into one HTML page that needs nothing else and runs nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vtrace_ovs.rendering.lines import Style
from vtrace_ovs.rendering.markup import AS_WRITTEN, COLOURS, FONT, escaped

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content-Security-Policy: should anything get through the escaping, the browser neither runs nor fetches it."""

_STYLE = f"""
* {{ {AS_WRITTEN} }}
body {{ font: 14px/1.5 system-ui, sans-serif; color: {COLOURS[Style.PLAIN]} }}
body {{ max-width: 96em; margin: 2em auto; padding: 0 1em }}
h1 {{ font-size: 1.4em }}
h2 {{ font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc }}
h3 {{ font-size: 1em }}
h1, h2, h3, p {{ overflow-wrap: anywhere }}
table {{ display: block; overflow-x: auto; border-collapse: collapse; font: 12px/1.5 {FONT}; margin: .5em 0 }}
td, th {{ border: 1px solid #ddd; padding: .2em .6em; text-align: left; vertical-align: top }}
th, td:first-child {{ white-space: nowrap }}
th {{ background: #f3f3f3 }}
figure {{ overflow-x: auto; margin: .5em 0 }}
@media print {{ figure {{ overflow: visible }} svg {{ max-width: 100%; height: auto }} }}
"""
_CLASSES = "".join(f".{style.value} {{ color: {colour} }}\n" for style, colour in COLOURS.items())


@dataclass(frozen=True, slots=True)
class Cell:
    """Lines of plain text in one style."""

    lines: tuple[str, ...]
    style: Style = Style.PLAIN


Row = Sequence[str | Cell]


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page. ``parts`` are what the functions below and ``diagram`` return."""
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}{_CLASSES}</style>\n</head>\n<body>\n"
        f"{''.join(parts)}</body>\n</html>\n"
    )


def heading(level: int, words: str, style: Style = Style.PLAIN) -> str:
    """A heading of level 1 to 3."""
    return f'<h{level} class="{style.value}">{escaped(words)}</h{level}>\n'


def paragraph(words: str, style: Style = Style.PLAIN) -> str:
    """One sentence or more."""
    return f'<p class="{style.value}">{escaped(words)}</p>\n'


def figure(drawing: str) -> str:
    """A drawing, which scrolls where it is wider than the page."""
    return f"<figure>{drawing}</figure>\n"


def table(headings: Sequence[str], rows: Iterable[Row]) -> str:
    """A table, with a head where there are headings; nothing at all where it has no rows."""
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>\n" for row in rows)
    if not body:
        return ""
    names = "".join(f"<th>{escaped(words)}</th>" for words in headings)
    head = f"<thead><tr>{names}</tr></thead>\n" if names else ""
    return f"<table>\n{head}<tbody>\n{body}</tbody>\n</table>\n"


def titled(level: int, title: str, content: str) -> Iterator[str]:
    """Content under a heading; nothing where there is no content."""
    if content:
        yield heading(level, title)
        yield content


def _cells(row: Row) -> Iterator[str]:
    for one in row:
        cell = Cell((one,)) if isinstance(one, str) else one
        yield f'<td class="{cell.style.value}">{"<br>".join(escaped(words) for words in cell.lines)}</td>'
