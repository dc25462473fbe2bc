from collections.abc import Callable
from pathlib import Path

import pytest

from vtrace_ovs.cli.api import add_vtrace, find_task, get_vtrace_result, open_store
from vtrace_ovs.errors import FilterError, StorageError, UsageError
from vtrace_ovs.filters import trace_request
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.verdict import Disposition, TaskResult


def test_a_task_is_added_as_it_was_asked_for(database: Path) -> None:
    number = add_vtrace("tcp, tcp_dst=443", 5, 10, vni=7, source_vm="web-0", destination_vm="db-0")
    with open_store() as store:
        task = store.task(number)
    assert task is not None
    assert task.state is TaskState.NEW
    assert task.request == trace_request(
        "tcp,tp_dst=443", packet_count=5, trace_time=10, vni=7, source_vm="web-0", destination_vm="db-0"
    )
    with open_store() as store:
        wide = find_task(store, str(add_vtrace("tcp,tp_dst=443", wide=True)))
    assert wide.request.scope.wide
    assert database.exists()


def test_a_wrong_request_makes_no_database(database: Path) -> None:
    with pytest.raises(FilterError):
        add_vtrace("tcp,tp_dst=x")
    assert not database.exists()


def test_a_result_is_found_by_number_and_by_filter(
    database: Path, result_of: Callable[[int, Disposition], TaskResult]
) -> None:
    number = add_vtrace("tcp,tp_dst=443", database=str(database))
    assert get_vtrace_result(number) is None
    with open_store() as store:
        store.save_result(number, result_of(number, Disposition.DELIVERED))
    assert get_vtrace_result(number) == result_of(number, Disposition.DELIVERED)
    assert get_vtrace_result(" TCP, tcp_dst=0x1bb") == result_of(number, Disposition.DELIVERED)


def test_a_filter_means_its_newest_task(database: Path) -> None:
    first, second = add_vtrace("tcp"), add_vtrace("tcp")
    third = add_vtrace("udp")
    with open_store(str(database)) as store:
        assert [find_task(store, reference).id for reference in ("tcp", str(first), "udp", None)] == [
            second,
            first,
            third,
            third,
        ]


def test_the_newest_task_of_a_request_and_its_replies_is_the_request(database: Path) -> None:
    number = add_vtrace("tcp,nw_src=10.0.0.1,nw_dst=10.0.1.5", both=True)
    with open_store(str(database)) as store:
        assert store.answering(number) is not None
        assert find_task(store, None).id == number


def test_a_task_that_is_not_there_is_named(database: Path) -> None:
    with open_store(str(database)) as store:
        with pytest.raises(UsageError, match="no task yet"):
            find_task(store, None)
        with pytest.raises(UsageError, match="no task 9:"):
            find_task(store, "9")
        with pytest.raises(UsageError, match="no task tcp:"):
            find_task(store, "tcp")


def test_the_directory_of_the_database_is_private(database: Path) -> None:
    add_vtrace("tcp")
    assert database.parent.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="set VTRACE_DATABASE"):
        add_vtrace("tcp", database=str(tmp_path / "file" / "vtrace.db"))
