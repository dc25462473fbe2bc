from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.packet import Headers
from vtrace_ovs.model.records import CounterKind, CounterSample, Loc, PacketInRecord
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.evidence import insert_records, record_rows, select_records
from vtrace_ovs.storage.schema import Base
from vtrace_ovs.storage.store import Store

Values = Callable[[object], st.SearchStrategy[Any]]

SAMPLE = CounterSample(1, BridgeId("s1", "br0"), CounterKind.METER, "meter 7", 2**64 - 1, 0, 3.5)
RECORD = PacketInRecord(
    1, 1, BridgeId("s1", "br0"), None, Loc.IN, "p1", None, Headers("aa", "bb", 0x0800, 60), 1, 1, 1000.0
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_comes_back_with_every_field(data: st.DataObject, store: Store, values_of: Values, task: Task) -> None:
    record = data.draw(values_of(PacketInRecord).map(lambda drawn: replace(drawn, task_id=task.id)))
    store.save_records([record])
    assert store.records(task.id)[-1] == record


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_driver_that_names_its_parameters_keeps_the_same(data: st.DataObject, values_of: Values) -> None:
    """As those of PostgreSQL do: rows then take SQLAlchemy's own way."""
    record = data.draw(values_of(PacketInRecord).map(lambda drawn: replace(drawn, task_id=1)))
    engine = create_engine("sqlite://", paramstyle="named")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        insert_records(session, record_rows([record, record]))
        assert select_records(session, 1) == (record, record)
    engine.dispose()


def test_records_come_back_in_the_order_they_were_saved(store: Store, task: Task) -> None:
    late, early = replace(RECORD, sequence=2), replace(RECORD, sequence=1, frame=b"\0\xff")
    store.save_records([late])
    store.save_records((early, late))
    assert store.records(task.id) == (late, early, late)
    assert store.records(task.id + 1) == ()


def test_saving_nothing_is_nothing(store: Store, task: Task) -> None:
    store.save_records([])
    store.save_samples([])
    assert store.records(task.id) == ()
    assert store.samples(task.id) == ()


def test_a_batch_is_kept_whole_or_not_at_all(store: Store, task: Task) -> None:
    with pytest.raises(StorageError, match="has no such task"):
        store.save_records([RECORD, replace(RECORD, task_id=task.id + 1)])
    assert store.records(task.id) == ()


def test_a_number_no_column_holds_is_refused(store: Store, task: Task) -> None:
    with pytest.raises(StorageError, match="does not fit into 64 unsigned bits"):
        store.save_records([replace(RECORD, cookie=2**64, task_id=task.id)])


def test_samples_come_back_as_they_were(store: Store, task: Task) -> None:
    later = replace(SAMPLE, kind=CounterKind.QUEUE_OVERFLOW, subject="rconn_overflow", read_at=4.5)
    store.save_samples([SAMPLE, later])
    assert store.samples(task.id) == (SAMPLE, later)
