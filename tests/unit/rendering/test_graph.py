from collections.abc import Callable
from ipaddress import IPv4Address

from vtrace_ovs.model.packet import Tunnel
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, HeaderChange, Hop, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, Verdict
from vtrace_ovs.rendering.graph import Arrow, path_graph
from vtrace_ovs.rendering.lines import Style

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
TUNNEL = Tunnel(7, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))


def test_a_way_is_a_box_per_vfd_and_one_for_its_end(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    first = hop("cs1/br-int", out_port=10, left_by=TUNNEL, changes=(HeaderChange("nw_ttl", "64", "63"),))
    last = hop("cs2/br-int", parent=0, in_port=1, steps=(Step(40, None, None, "drop"),), drop=DropShape.EXPLICIT_DROP)
    blamed = Culprit("cs2", BridgeId("cs2", "br-int"), 40, "acl")
    graph = path_graph(way(first, last, ending=Ending.DROPPED), verdict(Disposition.DROPPED, culprit=blamed))
    assert [box.words for box in graph.boxes] == [
        ("cs1", "br-int", "nw_ttl: 64 → 63"),
        ("cs2", "br-int"),
        ("dropped", "explicit drop", "table 40 (acl)"),
    ]
    assert [box.style for box in graph.boxes] == [Style.GOOD, Style.BAD, Style.BAD]
    assert graph.arrows == (
        Arrow(None, 0, ("in port 3",)),
        Arrow(0, 1, ("out port 10", "VNI 7 to 192.0.2.2", "in port 1")),
        Arrow(1, 2, ()),
    )


def test_a_visit_that_leaves_by_two_ports_is_one_box(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    mirrored = hop("cs1/br-int", out_port=5, ending=Ending.HANDED_TO_PORT)
    sent = hop("cs1/br-int", out_port=10)
    arrived = hop("cs2/br-int", dscp_mark=2, parent=1, in_port=1, out_port=7)
    graph = path_graph(way(mirrored, sent, arrived), verdict())
    assert [(box.words[-1], box.column) for box in graph.boxes] == [
        ("br-int", 0),
        ("handed to port 5", 1),
        ("br-int", 1),
        ("handed to port 7", 2),
    ]
    assert [(arrow.source, arrow.target) for arrow in graph.arrows] == [(None, 0), (0, 1), (0, 2), (2, 3)]


def test_a_loss_on_the_wire_ends_behind_the_last_vfd(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    lost = way(hop(out_port=10, left_by=TUNNEL), ending=Ending.ON_WIRE)
    graph = path_graph(lost, verdict(Disposition.LOST_ON_WIRE, culprit=Culprit("server1", next_node="cs2")))
    assert graph.boxes[-1].words == ("✗ sent to cs2, and never seen again",)
    assert graph.arrows[-1].words == ("out port 10", "VNI 7 to 192.0.2.2")


def test_a_way_of_no_hops_has_no_boxes(way: MakeWay, verdict: MakeVerdict) -> None:
    assert not path_graph(way(), verdict()).boxes
