from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.cost import ServerCost
from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.records import CounterKind, CounterSample
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, HeaderChange, Hop, NearMiss, Step, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, Evidence, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.report import Report, report_page

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]

FLOW = FlowKey(40, 100, Match())
NEAR = NearMiss(FLOW, 5, (("tcp_dst", "443", "80"),))
BRIDGE = BridgeId("server1", "br-int")
TASK = Task(3, trace_request("tcp", source_vm="web-0"), TaskState.PARTIAL, 1.0, 7, 1.1, 2.0, "server2 went away")
SAMPLES = tuple(CounterSample(3, BRIDGE, CounterKind.FLOW, "tcp", packets, 0, float(packets)) for packets in (1, 2))
VOID = frozenset({"meta", "br"})
ALLOWED = "html head meta title style body h1 h2 h3 p figure svg rect path text table thead tbody tr th td br"
TAGS = frozenset(ALLOWED.split())
HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "</text></svg><svg onload=alert(1)>",
    "</style></title><body onload=alert(1)>",
    "\"'><a href='javascript:alert(1)'>",
    "--><!--",
    "&lt;b&gt;",
    "a\x00b\x1b[2J\x9b\r\n\u2028\ufeff",
    "\u202eevil\u2066\u200f",
    "\ud800",
)


class Reader(HTMLParser):
    """Tags in order with the names of their attributes, and all text; fails where tags do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self._open += [] if tag in VOID else [tag]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def poisoned(value: Any, words: str) -> Any:  # noqa: ANN401 - any part of the model
    """The same value with every text in it replaced."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return words
    if isinstance(value, BridgeId):
        return BridgeId(words, words)
    if isinstance(value, tuple):
        return tuple(poisoned(one, words) for one in value)
    if is_dataclass(value) and not isinstance(value, type | FlowKey):
        return replace(value, **{part.name: poisoned(getattr(value, part.name), words) for part in fields(value)})
    return value


@pytest.fixture
def report(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> Report:
    steps = (Step(0, None, None, "goto_table:40", ambiguous=True), Step(40, FLOW, 7, "drop", near_misses=(NEAR,)))
    change = HeaderChange("nw_ttl", "64", "63")
    stopped = hop(steps=steps, changes=(change,), note="Because.", unsupported="bundle")
    lost = way(stopped, ending=Ending.DROPPED)
    denied = verdict(
        Disposition.DROPPED,
        culprit=Culprit("server1", BRIDGE, 40, "acl", FLOW, 7, "sg-web", next_node="server2"),
        near_misses=(NEAR,),
        evidence=(Evidence("It was logged.", observed=True),),
        remedy="Allow it.",
    )
    group = PathGroup(denied, lost, 2)
    result = TaskResult(3, denied, (group,), 2, 1, ("A note.",), (ServerCost("server1", 4),))
    return Report(TASK, result, ((lost, group), (lost, None)), SAMPLES)


def test_a_report_has_every_part(report: Report) -> None:
    reader = Reader(report_page([report]))
    text = "\n".join(reader.words)
    for words in (
        "For you.",
        "For them.",
        "sg-web",
        "Allow it.",
        "tcp --from web-0",
        "partial: server2 went away",
        "1970-01-01 00:00:01.100+00:00",
        "2 packets traced; 1 copies lost on the way to the controller",
        "nw_ttl: 64 → 63",
        "would have matched but for",
        "tcp_dst: the packet has 80, the flow wants 443",
        "It was logged.",
        "A note.",
        "no verdict on this packet alone",
        "Counters that changed",
        "What it cost the servers",
    ):
        assert words in text
    assert {tag for tag, _ in reader.tags} == TAGS


@pytest.mark.parametrize("words", HOSTILE)
def test_what_anybody_wrote_adds_no_tag_and_no_character_that_acts(report: Report, words: str) -> None:
    clean, dirty = report_page([report]), report_page([poisoned(report, words)])
    assert Reader(dirty).tags == Reader(clean).tags
    assert all(one.isprintable() or one == "\n" for one in dirty)
    assert dirty.encode().decode() == dirty


def test_both_directions_are_one_page_with_the_verdict_on_the_two(report: Report, verdict: MakeVerdict) -> None:
    waiting = Report(replace(TASK, id=4), None)
    text = report_page([report, waiting], verdict(Disposition.INCONCLUSIVE))
    order = [text.index(words) for words in ("INCONCLUSIVE", ">Request<", "DROPPED", ">Reply<", "Task 4 is partial")]
    assert order == sorted(order)


def test_every_result_has_a_page(any_result: st.SearchStrategy[TaskResult]) -> None:
    @given(any_result)
    @settings(max_examples=10, deadline=None, phases=[Phase.generate])
    def pages(result: TaskResult) -> None:
        packets = tuple((group.example, group) for group in result.groups)
        reader = Reader(report_page([Report(TASK, result, packets)]))
        assert {tag for tag, _ in reader.tags} <= TAGS

    pages()
