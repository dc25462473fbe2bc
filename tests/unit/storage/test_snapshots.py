from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model import oxm
from vtrace_ovs.model.actions import ApplyActions, GotoTable, Output, UnknownAction
from vtrace_ovs.model.flow import BridgeTables, Flow, MeterEntry, PortDescription
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.storage.database import open_database
from vtrace_ovs.storage.schema import Base, ContentRow, SnapshotRow
from vtrace_ovs.storage.snapshots import StoredSnapshot
from vtrace_ovs.storage.store import Store

Values = Callable[[object], st.SearchStrategy[Any]]
BRIDGE = BridgeId("s1", "br0")


def flow(table_id: int, port: int, n_packets: int = 0) -> Flow:
    match = Match.of(MaskedField(oxm.IN_PORT, port, 0xFFFFFFFF))
    odd = UnknownAction("odd", b"\xff\xff\0\x10")
    apply = ApplyActions((Output(port), odd), (b"\0\0\0\x10", odd.raw))
    return Flow(table_id, 100, match, (apply, GotoTable(9)), n_packets=n_packets, n_bytes=60 * n_packets, duration=0.5)


TABLES = BridgeTables(
    dpid=2**64 - 1,
    read_at=10.0,
    flows=(flow(0, 1, 5), flow(0, 2), flow(8, 1)),
    meters=(MeterEntry(1, 100, 10, packets=True, raw=b"\0\1"),),
    ports=(PortDescription(1, "vm1", "aa:00:00:00:00:01", link_down=False, admin_down=False),),
)


def counters(tables: BridgeTables) -> list[tuple[int, int, float]]:
    return [(each.n_packets, each.n_bytes, each.duration) for each in tables.flows]


def stored_rows(store: Store, table: type[Base]) -> int:
    database = open_database(store.place)
    with database.reading() as session:
        number = session.scalar(select(func.count()).select_from(table))
    database.close()
    return number or 0


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_tables_come_back_exactly(data: st.DataObject, store: Store, values_of: Values, task: Task) -> None:
    tables = data.draw(values_of(BridgeTables))
    restored = store.snapshot(store.save_snapshot(task.id, BRIDGE, tables))
    assert restored is not None
    assert restored == tables
    assert counters(restored) == counters(tables)


def test_an_unchanged_table_is_stored_once_whatever_its_counters_say(store: Store, task: Task) -> None:
    first = store.save_snapshot(task.id, BRIDGE, TABLES)
    parts = stored_rows(store, ContentRow)
    later = replace(TABLES, read_at=11.0, flows=(flow(0, 1, 6), *TABLES.flows[1:]))
    second = store.save_snapshot(task.id, BRIDGE, later)
    assert first != second
    assert stored_rows(store, ContentRow) == parts == 4
    restored = store.snapshot(second)
    assert restored is not None
    assert restored == later
    assert counters(restored)[0] == (6, 360, 0.5)


def test_a_change_in_one_table_costs_that_table_only(store: Store, task: Task) -> None:
    store.save_snapshot(task.id, BRIDGE, TABLES)
    store.save_snapshot(task.id, BRIDGE, replace(TABLES, read_at=11.0, flows=(*TABLES.flows, flow(8, 2))))
    assert stored_rows(store, ContentRow) == 5


def test_saving_the_same_tables_again_changes_nothing(store: Store, task: Task) -> None:
    assert store.save_snapshot(task.id, BRIDGE, TABLES) == store.save_snapshot(task.id, BRIDGE, TABLES)
    assert len(store.snapshots_of(task.id)) == 1


def test_two_bridges_with_the_same_tables_share_them_but_not_the_snapshot(store: Store, task: Task) -> None:
    other = BridgeId("s2", "br0")
    first, second = store.save_snapshot(task.id, BRIDGE, TABLES), store.save_snapshot(task.id, other, TABLES)
    assert first != second
    assert stored_rows(store, ContentRow) == 4
    assert store.snapshots_of(task.id) == (
        StoredSnapshot(first, BRIDGE, 10.0, 3),
        StoredSnapshot(second, other, 10.0, 3),
    )


def test_a_snapshot_can_serve_several_tasks(store: Store, task: Task) -> None:
    other = store.add_task(task.request, 2.0)
    digest = store.save_snapshot(task.id, BRIDGE, TABLES)
    assert store.save_snapshot(other.id, BRIDGE, TABLES) == digest
    assert store.snapshots_of(other.id) == store.snapshots_of(task.id)


def test_an_empty_bridge_has_a_snapshot_too(store: Store, task: Task) -> None:
    empty = BridgeTables(1, 2.0, ())
    assert store.snapshot(store.save_snapshot(task.id, BRIDGE, empty)) == empty


def test_an_unknown_digest_is_none_and_an_unknown_task_is_an_error(store: Store) -> None:
    assert store.snapshot("0" * 64) is None
    with pytest.raises(StorageError, match="has no such task"):
        store.save_snapshot(5, BRIDGE, TABLES)
    assert stored_rows(store, SnapshotRow) == 0


@pytest.mark.parametrize("damage", ["UPDATE contents SET body = x'00'", "UPDATE contents SET kind = 'ports'"])
def test_contents_that_changed_behind_our_back_are_not_believed(store: Store, task: Task, damage: str) -> None:
    digest = store.save_snapshot(task.id, BRIDGE, TABLES)
    database = open_database(store.place)
    with database.writing() as session:
        session.execute(text(damage))
    database.close()
    with pytest.raises(StorageError, match="are not what was stored"):
        store.snapshot(digest)
