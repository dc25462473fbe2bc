import json
from collections.abc import Callable
from dataclasses import replace

from vtrace_ovs.cli.api import open_store
from vtrace_ovs.model.topology import (
    Bridge,
    BridgeId,
    BridgeRole,
    ManagementSocket,
    Port,
    PortKind,
)
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory
from vtrace_ovs.model.verdict import Culprit, Disposition, PathGroup, TaskResult

Vtrace = Callable[..., tuple[int, str, str]]
ResultOf = Callable[[int, Disposition], TaskResult]
BRIDGE = BridgeId("cs1", "br-int")
PORT = Port(3, "vnet0", PortKind.EDGE, "web", tenant="blue", vni=101)


def lost(result: TaskResult) -> TaskResult:
    verdict = replace(result.verdict, culprit=Culprit("cs1", BRIDGE))
    way = Trajectory(1, "p", 0, Origin.OBSERVED, None, (Hop(BRIDGE, 1, 3),), Ending.OPEN)
    return replace(result, verdict=verdict, groups=(PathGroup(verdict, way, 20),))


def filled(vtrace: Vtrace, result_of: ResultOf) -> None:
    """Two tasks that lost packets, one that did not, one without a result, one whose source is dead."""
    for _ in range(4):
        vtrace("add", "tcp")
    vtrace("add", "tcp", "--from", "web")
    with open_store() as store:
        store.save_vfds([Bridge(BRIDGE, 1, BridgeRole.VSWITCH, (PORT,), ManagementSocket("br.mgmt"))])
        for number in (1, 2):
            store.save_result(number, lost(result_of(number, Disposition.LOST_IN_VFD)))
        store.save_result(3, result_of(3, Disposition.DELIVERED))
        unseen = lost(result_of(5, Disposition.UNSEEN))
        store.save_result(5, replace(unseen, groups=()))


def test_all_tasks_of_the_last_hours_are_compared(vtrace: Vtrace, result_of: ResultOf) -> None:
    filled(vtrace, result_of)
    code, out, _ = vtrace("correlate")
    assert code == 0
    assert out.splitlines()[0] == "4 tasks: 3 lost packets, 1 did not, 0 cannot be told"
    assert "VFD cs1/br-int: blamed by 3 of 3 tasks that lost packets (1, 2, 5), of tenant blue" in out
    assert "task 5 (blue): ? UNSEEN at cs1/br-int" in out, "whose VM it was to come from tells the tenant"
    assert vtrace("correlate", "--hours", "0")[1].startswith("0 tasks")


def test_only_the_tasks_that_are_named_are_compared(vtrace: Vtrace, result_of: ResultOf) -> None:
    filled(vtrace, result_of)
    document = json.loads(vtrace("correlate", "2", "3", "3", "-o", "json")[1])
    assert [task["task"] for task in document["losing"]] == [2]
    assert (document["healthy"], document["suspects"]) == ([3], [])
    code, _, err = vtrace("correlate", "99")
    assert code == 2
    assert "99" in err
