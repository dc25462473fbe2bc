from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from vtrace_ovs.errors import StorageError
from vtrace_ovs.model.cost import ServerCost, ServerReading
from vtrace_ovs.model.task import Task
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    Headline,
    PathGroup,
    TaskResult,
    Verdict,
)
from vtrace_ovs.storage.database import open_database
from vtrace_ovs.storage.store import Store

Values = Callable[[object], st.SearchStrategy[Any]]

BRIDGE = BridgeId("s2", "br-tun")
DROP = Verdict(
    Disposition.DROPPED,
    CauseCategory.SECURITY_POLICY,
    CauseCode.SECURITY_RULE_DENY,
    Confidence.OBSERVED,
    "operator",
    "tenant",
    culprit=Culprit("s2", BRIDGE, table_id=20, cookie=2**63 + 5, owner="security group web"),
)
WAY = Trajectory(1, "p1", 0, Origin.OBSERVED, None, (Hop(BRIDGE, 1, 3),), Ending.DROPPED)
RESULT = TaskResult(1, DROP, (PathGroup(DROP, WAY, 19), PathGroup(DROP, WAY, 1)), packets=20, copies_lost=2)


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    database = open_database(store.place)
    with database.reading() as session:
        found = [tuple(row) for row in session.execute(text(query))]
    database.close()
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_result_comes_back_with_every_field(data: st.DataObject, store: Store, values_of: Values, task: Task) -> None:
    result = data.draw(values_of(TaskResult))
    store.save_result(task.id, result)
    assert store.result(task.id) == result


def test_what_tasks_found_is_listed_in_short(store: Store, task: Task) -> None:
    assert store.headlines() == {}
    store.save_result(task.id, RESULT)
    lost = Headline(Disposition.DROPPED, CauseCode.SECURITY_RULE_DENY, BRIDGE)
    assert store.headlines() == {task.id: lost}
    store.save_result(task.id, replace(RESULT, verdict=replace(DROP, culprit=Culprit("s2"))))
    assert store.headlines() == {task.id: replace(lost, blamed="s2")}


def test_a_task_without_a_result_has_none(store: Store, task: Task) -> None:
    assert store.result(task.id) is None


def test_results_can_be_queried_by_what_and_where(store: Store, task: Task) -> None:
    store.save_result(task.id, RESULT)
    query = (
        "SELECT disposition, category, code, confidence, node, bridge, table_id, cookie, owner, packets FROM results"
    )
    assert rows(store, query) == [
        (
            "DROPPED",
            "security_policy",
            "security-rule-deny",
            "observed",
            "s2",
            "br-tun",
            20,
            5 - 2**63,
            "security group web",
            20,
        )
    ]
    assert rows(store, "SELECT position, packets FROM result_groups ORDER BY position") == [(0, 19), (1, 1)]


def test_what_a_trace_cost_can_be_queried_by_server(store: Store, task: Task) -> None:
    before, during = ServerReading(1.0, 5, 4, 100, 7.0), ServerReading(3.0, 8, None, 112, 7.5)
    cost = ServerCost("s2", 40, before, during)
    store.save_result(task.id, replace(RESULT, costs=(cost, ServerCost("s3"))))
    store.save_result(task.id, replace(RESULT, costs=(cost, ServerCost("s3"))))
    query = "SELECT node, copies, megaflows, masks, upcalls, cpu_share FROM result_costs ORDER BY node"
    assert rows(store, query) == [("s2", 40, 3, None, 12, 0.25), ("s3", 0, None, None, None, None)]


def test_a_new_result_replaces_the_old_one(store: Store, task: Task) -> None:
    store.save_result(task.id, RESULT)
    better = replace(RESULT, groups=RESULT.groups[:1], packets=21)
    store.save_result(task.id, better)
    assert store.result(task.id) == better
    assert len(rows(store, "SELECT * FROM result_groups")) == 1


def test_a_result_needs_its_task(store: Store) -> None:
    with pytest.raises(StorageError, match="has no such task"):
        store.save_result(3, RESULT)


def test_a_damaged_result_is_a_storage_error(store: Store, task: Task) -> None:
    store.save_result(task.id, RESULT)
    database = open_database(store.place)
    with database.writing() as session:
        session.execute(text("UPDATE results SET document = substr(document, 1, 40)"))
    database.close()
    with pytest.raises(StorageError, match=r"vtrace\.db: not a JSON document"):
        store.result(task.id)


def test_trajectories_come_back_in_order_and_replace_earlier_ones(store: Store, task: Task) -> None:
    nowhere = replace(WAY, hops=(), occurrence=1, ending=Ending.UNKNOWN)
    store.save_trajectories(task.id, [WAY])
    store.save_trajectories(task.id, [nowhere, WAY])
    assert store.trajectories(task.id) == (nowhere, WAY)
    assert rows(store, "SELECT hops, node, bridge, ending FROM trajectories ORDER BY id") == [
        (0, None, None, "unknown"),
        (1, "s2", "br-tun", "dropped"),
    ]


def test_the_inventory_is_kept_as_last_seen(store: Store) -> None:
    old = Bridge(BRIDGE, 2**64 - 1, BridgeRole.VROUTER, (), ManagementSocket("/run/x"), profile="lab")
    other = replace(old, id=BridgeId("s1", "br-int"), dpid=None, role=BridgeRole.VSWITCH)
    store.save_vfds([old, other])
    new = replace(old, dpid=7, tenant="red")
    store.save_vfds([new])
    assert store.vfds() == (other, new)
    assert rows(store, "SELECT node, bridge, dpid, role, profile, tenant FROM vfds WHERE dpid = 7") == [
        ("s2", "br-tun", 7, "vrouter", "lab", "red")
    ]
