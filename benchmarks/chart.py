"""Turns ratios into a bar chart: SVG text, written by hand so that nothing has to be installed for it."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 320, 56, 44, 48
COLOURS = ("#9aa5b1", "#4c9f70", "#8a63b8", "#3b7dd8", "#d9822b")
FONT = 'font-family="sans-serif" font-size="12" fill="#333"'


def bars(title: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """One group of bars per entry of ``groups``, one bar per series in each, and a line at 1."""
    top = max(1.25, *(value for values in series.values() for value in values)) * 1.08
    room = HEIGHT - TOP - BOTTOM

    def height(value: float) -> float:
        return room * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    step = (WIDTH - LEFT) / len(groups)
    wide = step * 0.8 / len(series)
    for at, group in enumerate(groups):
        left = LEFT + at * step + step * 0.1
        for number, values in enumerate(series.values()):
            tall, x = height(values[at]), left + number * wide
            y = HEIGHT - BOTTOM - tall
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" height="{tall:.1f}" fill="{COLOURS[number]}"/>'
            )
            parts.append(
                f'<text x="{x + wide / 2 - 2:.1f}" y="{y - 4:.1f}" text-anchor="middle" {FONT}>{values[at]:.2f}</text>'
            )
        middle = left + step * 0.4
        parts.append(
            f'<text x="{middle:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" {FONT}>{escape(group)}</text>'
        )
    one = HEIGHT - BOTTOM - height(1.0)
    parts.append(f'<line x1="{LEFT}" y1="{one:.1f}" x2="{WIDTH}" y2="{one:.1f}" stroke="#333" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{LEFT - 8}" y="{one + 4:.1f}" text-anchor="end" {FONT}>1.00</text>')
    for number, name in enumerate(series):
        x = LEFT + number * (WIDTH - LEFT) / len(series)
        parts.append(f'<rect x="{x:.1f}" y="14" width="12" height="12" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 17:.1f}" y="24" {FONT}>{escape(name)}</text>')
    return "\n".join((*parts, "</svg>")) + "\n"
