from xml.etree import ElementTree as ET

from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.model.usage import TaskOutcome, usage_of
from vtrace_ovs.model.verdict import CauseCategory, Disposition
from vtrace_ovs.rendering.usage_chart import usage_chart

LOST = (Disposition.DROPPED, CauseCategory.RATE_LIMIT, BridgeRole.VROUTER)
OUTCOMES = [TaskOutcome(1_772_409_600.0 + 86400 * day, 20, 30, *LOST) for day in range(300)]


def numbers(chart: ET.Element, tag: str, name: str) -> list[float]:
    return [float(one.get(name, "0")) for one in chart.iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


def test_the_chart_is_one_file_that_needs_nothing_else() -> None:
    text = usage_chart(usage_of(OUTCOMES))
    chart = ET.fromstring(text)  # noqa: S314 - our own output
    assert {one.tag.split("}")[1] for one in chart.iter()} == {"svg", "title", "rect", "path", "text"}
    assert text.count("http") == 1
    words = [one.text for one in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert {"rate_limit", "300", "vRouter"} <= set(words)


def test_nothing_is_drawn_outside_however_many_weeks_there_are() -> None:
    for outcomes in ([], OUTCOMES[:1], OUTCOMES):
        chart = ET.fromstring(usage_chart(usage_of(outcomes)))  # noqa: S314 - our own output
        width, height = (float(chart.get(side, "0")) for side in ("width", "height"))
        xs, ys = numbers(chart, "rect", "x"), numbers(chart, "rect", "y")
        widths, heights = numbers(chart, "rect", "width"), numbers(chart, "rect", "height")
        assert all(x >= 0 and x + w <= width for x, w in zip(xs, widths, strict=True))
        assert all(y >= 0 and y + h <= height for y, h in zip(ys, heights, strict=True))
