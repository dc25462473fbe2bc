from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vtrace_ovs.model.flow import FlowKey
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import TCP_DST
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop, NearMiss, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, Evidence, Fate, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.lines import plain_text
from vtrace_ovs.rendering.screen import result_lines, verdict_line

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
NEAR = NearMiss(FlowKey(40, 100, Match.of(MaskedField(TCP_DST, 443, 0xFFFF))), 5, (("tcp_dst", "443", "80"),))


def test_the_verdict_comes_first_and_the_notes_last(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    one = verdict(remedy="Do this.", evidence=(Evidence("It was seen.", observed=True),))
    screen = plain_text(result_lines(TaskResult(1, one, (PathGroup(one, way(hop()), 5),), 5, notes=("A note.",))))
    assert screen.splitlines()[0] == verdict_line(one).shown == "✓ DELIVERED — observed"
    order = ["For you.", "Do this.", '"For them."', "5 packets traced", "server1", "It was seen.", "A note."]
    places = [screen.index(words) for words in order]
    assert places == sorted(places)


def test_several_ways_are_counted_before_they_are_drawn(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    lost, good = verdict(Disposition.DROPPED), verdict()
    groups = (PathGroup(lost, way(hop()), 7), PathGroup(good, way(hop()), 13))
    screen = plain_text(result_lines(TaskResult(1, lost, groups, 20, copies_lost=3)))
    assert "20 packets traced, 2 different ways; 3 copies lost on the way to the controller" in screen
    assert "   7  ✗ DROPPED: server1/br-int" in screen
    assert "13 of 20 packets: unreadable headers (observed)\n✓ DELIVERED" in screen


def test_how_many_vfds_were_armed_is_a_detail(verdict: MakeVerdict) -> None:
    result = TaskResult(1, verdict(), (), 1, armed=(BridgeId("server1", "br-int"),), vfds=1000)
    assert "1 of 1,000 VFDs armed" in plain_text(result_lines(result, 1))
    assert "armed" not in plain_text(result_lines(result))


def test_several_losses_are_each_told_with_share_place_cause_and_evidence(
    hop: MakeHop, way: MakeWay, verdict: MakeVerdict
) -> None:
    limited = verdict(
        Disposition.DROPPED,
        culprit=Culprit("server1", BridgeId("server1", "br-int"), 15),
        evidence=(Evidence("Meter 7 dropped 3 of 9 packets.", observed=True),),
    )
    denied = verdict(Disposition.DROPPED, culprit=Culprit("server2"), near_misses=(NEAR, NEAR))
    groups = (PathGroup(limited, way(hop()), 12), PathGroup(denied, way(hop("server2/br-int")), 8))
    result = TaskResult(1, limited, groups, 20, losses=(Fate(12, limited), Fate(8, denied)))
    screen = plain_text(result_lines(result)).splitlines()
    start = screen.index("Losses")
    assert screen[start + 1 : start + 7] == [
        "  12 of 20 packets (60 %): ✗ DROPPED at server1/br-int, table 15 — observed",
        "    For you.",
        "    observed  Meter 7 dropped 3 of 9 packets.",
        "  8 of 20 packets (40 %): ✗ DROPPED at server2 — observed",
        "    For you.",
        (
            "    Near miss: table=40, cookie=0x5, priority=100,tp_dst=443 would have matched but for "
            "tcp_dst: the packet has 80, the flow wants 443"
        ),
    ]
    assert "Evidence" not in screen


def test_a_task_that_saw_nothing_still_has_a_screen(verdict: MakeVerdict) -> None:
    assert "0 packets traced" in plain_text(result_lines(TaskResult(1, verdict(Disposition.UNSEEN), (), 0)))


def test_a_drop_warns_of_further_blockers(verdict: MakeVerdict) -> None:
    assert "further blockers" in plain_text(result_lines(TaskResult(1, verdict(Disposition.DROPPED), (), 0)))
    assert "further blockers" not in plain_text(result_lines(TaskResult(1, verdict(), (), 0)))


@pytest.mark.parametrize("detail", [0, 2])
def test_every_result_renders_to_printable_lines(any_result: st.SearchStrategy[TaskResult], detail: int) -> None:
    @given(any_result)
    @settings(max_examples=30, deadline=None, phases=[Phase.generate])
    def prints(result: TaskResult) -> None:
        assert all(line.shown.isprintable() for line in result_lines(result, detail))

    prints()
