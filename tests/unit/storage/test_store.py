from pathlib import Path

from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.storage.store import Store


def test_a_store_keeps_everything_when_it_is_closed(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as store:
        added = store.add_task(request_for_tcp, 1.0)
    with Store.open(path) as store:
        assert store.tasks() == (added,)


def test_a_closed_store_leaves_one_file(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as store:
        store.add_task(request_for_tcp, 1.0)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_store_says_where_it_is(path: Path) -> None:
    with Store.open(path) as store:
        assert store.place == str(path)


def test_two_stores_on_one_file_see_each_other(path: Path, request_for_tcp: TraceRequest) -> None:
    with Store.open(path) as controller, Store.open(path) as operator:
        added = operator.add_task(request_for_tcp, 1.0)
        assert [task.id for task in controller.claim_new_tasks()] == [added.id]
        assert operator.unfinished() == controller.unfinished()
        assert operator.claim_new_tasks() == ()
