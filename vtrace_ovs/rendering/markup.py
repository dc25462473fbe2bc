"""Turns text anybody may have written into text that is safe in HTML and SVG, and shapes into inline SVG."""

import html

from vtrace_ovs.rendering.lines import Span, Style

FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"

COLOURS = {
    Style.PLAIN: "#222222",
    Style.GOOD: "#1d7a3a",
    Style.BAD: "#b3261e",
    Style.UNSURE: "#8a6100",
    Style.STRONG: "#222222",
    Style.FAINT: "#6b6b6b",
}

AS_WRITTEN = "direction:ltr;unicode-bidi:bidi-override"
"""Style of every element: characters of right-to-left scripts stay where they are and move nothing beside them."""


def escaped(text: object) -> str:
    """Safe between tags and in quoted attributes: no markup, and no character that is invisible or moves others."""
    return html.escape(Span(str(text)).shown, quote=True)


def svg(width: float, height: float, title: str, *parts: str) -> str:
    """One drawing, sized in pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="{FONT}" '
        f'font-size="12">\n<title>{escaped(title)}</title>\n{"".join(parts)}</svg>\n'
    )


def text(x: float, y: float, words: object, *, anchor: str = "start", fill: str = "#222", bold: bool = False) -> str:
    """Words whose base line begins (or ends, or has its middle) at a point."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}"{weight} style="{AS_WRITTEN}">'
        f"{escaped(words)}</text>\n"
    )


def box(place: tuple[float, float, float, float], fill: str, stroke: str = "none", *, radius: float = 0) -> str:
    """A rectangle: x, y, width, height."""
    x, y, width, height = place
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{stroke}"/>\n'
    )


def way(points: str, stroke: str, *, width: float = 1) -> str:
    """An unfilled path: ``points`` in the words of SVG's ``d``."""
    return f'<path d="{points}" fill="none" stroke="{stroke}" stroke-width="{width:g}"/>\n'
