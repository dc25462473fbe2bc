import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from vtrace_ovs.model.trajectory import Ending, Hop, Trajectory
from vtrace_ovs.model.verdict import Verdict
from vtrace_ovs.rendering.diagram import path_diagram
from vtrace_ovs.rendering.graph import Graph, path_graph

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(graph: Graph) -> ET.Element:
    return ET.fromstring(path_diagram(graph, "way"))  # noqa: S314 - our own output


def test_boxes_do_not_overlap_and_nothing_is_outside(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    branches = [hop("cs1/br-int", out_port=port, ending=Ending.HANDED_TO_PORT) for port in (5, 6)]
    sent = hop("cs1/br-int", out_port=10)
    arrived = hop(f"{'x' * 500}/br-int", dscp_mark=2, parent=2, in_port=1, out_port=7)
    chart = drawn(path_graph(way(*branches, sent, arrived), verdict()))
    boxes = [
        tuple(float(one.get(side, "0")) for side in ("x", "y", "width", "height")) for one in chart.iter(f"{SVG}rect")
    ]
    assert len(boxes) == 2
    assert boxes[0][0] + boxes[0][2] < boxes[1][0]
    rows = {float(one.get("y", "0")) for one in chart.iter(f"{SVG}text") if (one.text or "").startswith("handed to")}
    assert len(rows) == 3
    width, height = float(chart.get("width", "0")), float(chart.get("height", "0"))
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert all(float(one.get("x", "0")) + 7 * len(one.text or "") <= width for one in chart.iter(f"{SVG}text"))
    assert all(0 < float(one.get("y", "0")) <= height for one in chart.iter(f"{SVG}text"))


def test_an_arrow_leads_into_every_box(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    path = way(hop("cs1/br-int", out_port=10), hop("cs2/br-int", parent=0, in_port=1, out_port=7))
    chart = drawn(path_graph(path, verdict()))
    ends = [float(re.findall(r"H([\d.]+)m", one.get("d", ""))[0]) for one in chart.iter(f"{SVG}path")]
    lefts = [float(one.get("x", "0")) for one in chart.iter(f"{SVG}rect")]
    assert ends[:2] == lefts
    assert ends == sorted(ends)
    words = [one.text for one in chart.iter(f"{SVG}text")]
    assert words[:3] == ["in port 3", "in port 1", "out port 10"]


def test_a_long_name_is_cut(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    words = [one.text or "" for one in drawn(path_graph(way(hop(f"{'n' * 90}/b")), verdict())).iter(f"{SVG}text")]
    assert "n" * 47 + "…" in words


def test_no_path_is_an_empty_drawing() -> None:
    assert [one.tag for one in drawn(Graph((), ()))] == [f"{SVG}title"]
