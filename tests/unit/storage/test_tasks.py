import sqlite3
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.task import FINAL_STATES, Intent, IntentDraft, IntentKind, Task, TaskState, TraceRequest
from vtrace_ovs.storage.database import open_database
from vtrace_ovs.storage.store import Store

Values = Callable[[object], st.SearchStrategy[Any]]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_request_comes_back_as_it_was(data: st.DataObject, store: Store, values_of: Values) -> None:
    request = data.draw(values_of(TraceRequest))
    added = store.add_task(request, at=12.5)
    assert (added.request, added.state, added.created_at) == (request, TaskState.NEW, 12.5)
    assert store.task(added.id) == added


def test_a_task_nobody_added_is_none(store: Store) -> None:
    assert store.task(1) is None
    assert store.latest_task_for("tcp") is None


def test_what_people_look_tasks_up_by_is_in_columns(store: Store) -> None:
    wanted = Filter("x", 6, IPv4Network("10.0.0.0/24"), IPv4Network("10.0.1.5/32"), None, 443)
    store.add_task(TraceRequest(wanted, Scope(vni=7), packet_count=9, trace_time=11), at=1.0)
    database = open_database(store.place)
    with database.reading() as session:
        row = session.execute(
            text("SELECT protocol, source, destination, destination_port, vni, packet_count, trace_time FROM tasks")
        ).one()
    database.close()
    assert tuple(row) == (6, "10.0.0.0/24", "10.0.1.5/32", 443, 7, 9, 11)


def test_tasks_come_newest_first_and_can_be_narrowed(store: Store, request_for_tcp: TraceRequest) -> None:
    first, second, third = (store.add_task(request_for_tcp, at) for at in (1.0, 2.0, 3.0))
    done = store.set_state(second.id, TaskState.DONE, 4.0)
    assert store.tasks() == (third, done, first)
    assert store.tasks(limit=1) == (third,)
    assert store.tasks(states=[TaskState.NEW]) == (third, first)
    assert store.tasks(states=[]) == ()
    assert store.latest_task_for("tcp") == third
    assert store.latest_task_for("udp") is None


def test_numbers_of_tasks_are_never_used_twice(store: Store, task: Task, request_for_tcp: TraceRequest) -> None:
    database = open_database(store.place)
    with database.writing() as session:
        session.execute(text("DELETE FROM tasks"))
    database.close()
    assert store.add_task(request_for_tcp, 2.0).id > task.id


def test_states_bring_their_times_and_keep_what_was_known(store: Store, task: Task) -> None:
    arming = store.set_state(task.id, TaskState.ARMING, 5.0, slot=17)
    assert (arming.state, arming.slot, arming.armed_at) == (TaskState.ARMING, 17, None)
    armed = store.set_state(task.id, TaskState.ARMED, 6.0)
    assert (armed.slot, armed.armed_at, armed.ended_at) == (17, 6.0, None)
    ended = store.set_state(task.id, TaskState.PARTIAL, 9.0, reason="copies lost")
    assert (ended.slot, ended.armed_at, ended.ended_at, ended.reason) == (17, 6.0, 9.0, "copies lost")
    assert store.task(task.id) == ended


@pytest.mark.parametrize("state", TaskState)
def test_unfinished_are_the_tasks_that_are_in_no_final_state(store: Store, task: Task, state: TaskState) -> None:
    store.set_state(task.id, state, 2.0)
    assert bool(store.unfinished()) is (state not in FINAL_STATES)


def test_new_tasks_are_claimed_once_oldest_first(store: Store, request_for_tcp: TraceRequest) -> None:
    ids = [store.add_task(request_for_tcp, at).id for at in (1.0, 2.0)]
    claimed = store.claim_new_tasks()
    assert [task.id for task in claimed] == ids
    assert {task.state for task in claimed} == {TaskState.ANALYSER_READY}
    assert store.claim_new_tasks() == ()


def test_a_cancel_request_reaches_a_running_task_and_not_a_finished_one(store: Store, task: Task) -> None:
    assert store.request_cancel(task.id).cancel_requested
    found = store.task(task.id)
    assert found is not None
    assert found.cancel_requested
    other = store.add_task(task.request, 2.0)
    done = store.set_state(other.id, TaskState.DONE, 3.0)
    assert store.request_cancel(other.id) == done


def test_an_unknown_task_is_an_error_to_change(store: Store) -> None:
    with pytest.raises(StorageError, match="there is no task 7"):
        store.set_state(7, TaskState.DONE, 1.0)
    with pytest.raises(StorageError, match="there is no task 7"):
        store.request_cancel(7)


def intents(task_id: int) -> tuple[IntentDraft, IntentDraft]:
    return (
        IntentDraft(task_id, IntentKind.FLOWS, "s1/br0", "unix:/run/db.sock", ""),
        IntentDraft(task_id, IntentKind.METER, "s1/br0", "unix:/run/db.sock", "7"),
    )


def test_claiming_does_not_wait_for_a_writer_when_there_is_nothing_new(path: Path) -> None:
    with Store.open(path, busy_timeout=0.01) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert store.claim_new_tasks() == ()
        other.close()


def test_what_waits_for_a_controller_is_a_new_task_or_a_wish_to_cancel(store: Store) -> None:
    assert not store.requests_wait()
    task = store.add_task(TraceRequest(Filter("tcp", protocol=6)), 1.0)
    assert store.requests_wait()
    store.claim_new_tasks()
    assert not store.requests_wait()
    store.request_cancel(task.id)
    assert store.requests_wait()
    store.set_state(task.id, TaskState.CANCELLED, 2.0)
    assert not store.requests_wait()


def test_an_intent_is_open_until_its_undo_is_confirmed(store: Store, task: Task) -> None:
    flows, meter = store.write_intents(intents(task.id), at=2.0)
    assert flows == Intent(flows.id, task.id, IntentKind.FLOWS, "s1/br0", "unix:/run/db.sock", "", 2.0)
    assert (meter.kind, meter.detail) == (IntentKind.METER, "7")
    assert store.open_intents() == (flows, meter)
    store.intents_undone([flows.id], 4.0)
    assert store.open_intents() == (meter,)


def test_intents_are_written_all_or_none(store: Store, task: Task) -> None:
    with pytest.raises(StorageError, match="has no such task"):
        store.write_intents([*intents(task.id), *intents(task.id + 1)], at=1.0)
    assert store.open_intents() == ()


def test_undoing_needs_its_intent(store: Store) -> None:
    with pytest.raises(StorageError, match="there is no intent 9"):
        store.intents_undone([9], 1.0)


def test_a_task_and_the_one_for_its_replies_know_each_other(store: Store, request_for_tcp: TraceRequest) -> None:
    there, back = store.add_exchange(request_for_tcp, lambda request, number: replace(request, answers=number), 1.0)
    assert back.request.answers == there.id
    assert store.answering(there.id) == back
    assert store.answering(back.id) is None
    assert store.latest_task_for(request_for_tcp.filter.text) == there
