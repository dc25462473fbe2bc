import json
from collections.abc import Callable
from dataclasses import fields

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.task import Task, TaskState
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Hop, Trajectory
from vtrace_ovs.model.verdict import CauseCode, Culprit, Disposition, Headline, PathGroup, TaskResult, Verdict
from vtrace_ovs.rendering.document import SCHEMA, result_document, task_document, tasks_document

TASK = Task(3, trace_request("tcp", source_vm="web-0"), TaskState.NEW, 100.0)


def parts(noun: type) -> set[str]:
    return {field.name for field in fields(noun)}


def test_every_result_has_a_document_in_ascii(any_result: st.SearchStrategy[TaskResult]) -> None:
    @given(any_result)
    @settings(max_examples=30, deadline=None, phases=[Phase.generate])
    def documents(result: TaskResult) -> None:
        text = result_document(result)
        document = json.loads(text)
        assert text.isascii()
        assert list(document) == ["schema", "task", "verdict", "losses", "groups", "notes", "costs"]
        assert document["verdict"]["disposition"] == result.verdict.disposition.value
        assert [group["packets"] for group in document["groups"]] == [group.packets for group in result.groups]

    documents()


def test_a_document_has_a_key_for_every_part_of_the_nouns(
    hop: Callable[..., Hop], way: Callable[..., Trajectory], verdict: Callable[..., Verdict]
) -> None:
    one = verdict(culprit=Culprit("server1"))
    document = json.loads(result_document(TaskResult(3, one, (PathGroup(one, way(hop()), 1),), 1)))
    path = document["groups"][0]["path"]
    assert path.keys() == parts(Trajectory) - {"task_id"}
    assert path["hops"][0].keys() == parts(Hop)
    assert document["verdict"].keys() == parts(Verdict)
    assert document["verdict"]["culprit"].keys() == parts(Culprit) - {"cookie"}


def test_a_result_with_its_task_says_what_was_asked(verdict: Callable[..., Verdict]) -> None:
    armed = (BridgeId("server1", "br-int"),)
    document = json.loads(result_document(TaskResult(3, verdict(), (), 12, 1, armed=armed, vfds=40), TASK))
    assert (document["task"]["armed"], document["task"]["vfds"]) == (["server1/br-int"], 40)
    assert document["task"]["filter"] == "tcp"
    assert document["task"]["from"] == "web-0"
    assert document["task"]["packets"] == 12
    assert document["task"]["copies_lost"] == 1


def test_a_task_without_a_result_has_no_verdict() -> None:
    document = json.loads(task_document(TASK))
    assert document["schema"] == SCHEMA
    assert document["verdict"] is None
    assert document["groups"] == []


def test_tasks_are_listed_in_order() -> None:
    assert [task["id"] for task in json.loads(tasks_document([TASK, TASK], {}))["tasks"]] == [3, 3]


def test_a_listed_task_has_what_it_found_in_short() -> None:
    lost = Headline(Disposition.LOST_IN_VFD, CauseCode.VSWITCHD_DEAD, "server1")
    (task,) = json.loads(tasks_document([TASK], {TASK.id: lost}))["tasks"]
    assert task["found"] == {"disposition": "LOST_IN_VFD", "code": "vswitchd-dead", "blamed": "server1"}
    (task,) = json.loads(tasks_document([TASK], {}))["tasks"]
    assert task["found"] is None
