import re
from collections.abc import Callable

from vtrace_ovs.model.trajectory import Hop, Trajectory
from vtrace_ovs.model.verdict import Disposition, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.dot import results_dot

MakeHop = Callable[..., Hop]
MakeWay = Callable[..., Trajectory]
MakeVerdict = Callable[..., Verdict]
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def test_each_group_is_a_cluster_with_its_path(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    path = way(hop("cs1/br-int", out_port=10), hop("cs2/br-int", parent=0, in_port=1, out_port=7))
    group = PathGroup(verdict(), path, 3)
    text = results_dot([TaskResult(4, verdict(), (group, group), 6), TaskResult(5, verdict(), (group,), 3)])
    assert re.findall(r"subgraph (\w+)", text) == ["cluster_task4_0", "cluster_task4_1", "cluster_task5_0"]
    assert 'task4_0_0 -> task4_0_1 [label="out port 10\\nin port 1"]' in text
    assert '[label="cs2\\nbr-int", color="#1d7a3a"' in text
    assert "3 of 6 packets" in text


def test_what_others_wrote_stays_inside_its_string(hop: MakeHop, way: MakeWay, verdict: MakeVerdict) -> None:
    hostile = 'a"]; evil [label="\\/<b>&lt;\x1b\u202e\n'
    group = PathGroup(verdict(), way(hop(f"{hostile.replace('/', '')}/{hostile.replace('/', '')}")), 1)
    text = results_dot([TaskResult(4, verdict(), (group,), 1)])
    assert "evil" in text
    assert "evil" not in STRING.sub("", text)
    assert "&amp;lt;" in text
    assert "\x1b" not in text


def test_a_task_that_saw_nothing_is_its_verdict(verdict: MakeVerdict) -> None:
    assert 'task4 [label="? UNSEEN' in results_dot([TaskResult(4, verdict(Disposition.UNSEEN), (), 0)])
