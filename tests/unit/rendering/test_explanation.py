from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.model.agreement import Agreement, Examined, OvsTrace
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import DropShape, Ending, Hop, NearMiss, Origin, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, Evidence, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.explanation import explanation_lines
from vtrace_ovs.rendering.lines import plain_text

BRIDGE = BridgeId("server1", "br-int")
FLOW = FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF)))
NEAR = NearMiss(FLOW, 5, (("tcp_dst", "443", "80"),))
MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
BUT_FOR = "would have matched but for tcp_dst: the packet has 80, the flow wants 443"


def screen(verdict: Verdict, way: Trajectory, *agreements: Agreement, detail: int = 0) -> str:
    result = TaskResult(0, verdict, (PathGroup(verdict, way, 1),), 1, notes=("Assumed: nw_ttl=64.",))
    return plain_text(explanation_lines(result, agreements, detail))


def test_a_drop_shows_every_lookup_the_near_misses_and_what_was_assumed(
    hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    steps = (Step(0, FLOW, 7, "goto_table:40"), Step(40, None, None, "", near_misses=(NEAR,)))
    stopped = hop(steps=steps, drop=DropShape.NO_MATCH, ending=Ending.DROPPED)
    what = verdict(
        Disposition.DROPPED,
        remedy="Add a flow.",
        culprit=Culprit("server1", BRIDGE, 40, flow=FLOW, cookie=7, owner="acl"),
        near_misses=(NEAR,),
        evidence=(Evidence("It passes meter 3.", False),),
    )
    text = screen(what, way(stopped, ending=Ending.DROPPED, origin=Origin.PREDICTED))
    assert text.startswith("✗ DROPPED at server1/br-int, table 40")
    for line in (
        "  Flow: table=40, cookie=0x7, priority=100,tp_dst=443",
        "  Owner: acl",
        "  Remedy: Add a flow.",
        "unreadable headers (predicted from the flow tables)",
        "      │  └─ actions=goto_table:40",
        "      ├─ ✗ table=40, no flow matches",
        "      └─ no match",
        f"  near miss: table=40, cookie=0x5, priority=100,tp_dst=443 {BUT_FOR}",
        "  It passes meter 3.",
        "  Assumed: nw_ttl=64.",
    ):
        assert line in text.splitlines()
    assert "tenant" not in text


def test_what_the_lookups_looked_at_is_shown_when_more_is_asked_for(
    hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    what = verdict(Disposition.DELIVERED)
    result = TaskResult(0, what, (PathGroup(what, way(hop(), origin=Origin.PREDICTED), 1),), 1)
    texts = [plain_text(explanation_lines(result, (), detail, (Examined(BRIDGE, FLOW.match),))) for detail in (0, 1)]
    assert ["server1/br-int: tp_dst=443" in text for text in texts] == [False, True]


def test_what_open_vswitch_says_has_a_mark_for_each_server(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    trace = OvsTrace((), "unchanged", "recirc_id=0,eth", ("1", "drop"), forwards=True, notes=("a warning",))
    agreed = Agreement(BRIDGE, True, "agree: 1 lookup", trace=trace)
    found = screen(
        verdict(), way(hop()), agreed, replace(agreed, agrees=False, trace=None), replace(agreed, agrees=None)
    )
    lines = found.splitlines()
    at = lines.index("Open vSwitch itself (ofproto/trace)")
    assert lines[at + 1 : at + 7] == [
        "├─ ✓ from server1/br-int: agree: 1 lookup",
        "│  ├─ datapath actions: 1",
        "│  ├─ datapath actions: drop",
        "│  ├─ megaflow: recirc_id=0,eth",
        "│  └─ a warning",
        "├─ ✗ from server1/br-int: agree: 1 lookup",
    ]
    assert lines[at + 7] == "└─ ? from server1/br-int: agree: 1 lookup"


def test_a_datapath_that_contradicts_is_marked_below_the_tables(
    hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    agreed = Agreement(BRIDGE, True, "agree: 1 lookup", follows=False, datapath="the datapath contradicts the tables")
    lines = screen(verdict(), way(hop()), agreed).splitlines()
    at = lines.index("Open vSwitch itself (ofproto/trace)")
    assert lines[at + 1 : at + 3] == [
        "└─ ✓ from server1/br-int: agree: 1 lookup",
        "   └─ ✗ the datapath contradicts the tables",
    ]


def test_more_detail_shows_cookies_too(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    passed = way(hop(steps=(Step(0, FLOW, 7, "output:2"),), ending=Ending.HANDED_TO_PORT))
    assert "cookie=0x7" not in screen(verdict(), passed)
    assert "cookie=0x7" in screen(verdict(), passed, detail=1)
