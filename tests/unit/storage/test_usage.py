from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.model.usage import TaskOutcome
from vtrace_ovs.model.verdict import (
    CauseCategory,
    CauseCode,
    Confidence,
    Culprit,
    Disposition,
    TaskResult,
    Verdict,
)
from vtrace_ovs.storage.store import Store


def blamed(task_id: int, culprit: Culprit | None) -> TaskResult:
    fixed = (Disposition.DROPPED, CauseCategory.CONFIG_ERROR, CauseCode.NO_ROUTE, Confidence.OBSERVED)
    return TaskResult(task_id, Verdict(*fixed, "operator", "tenant", culprit=culprit), (), 20)


def test_every_task_has_an_outcome_with_the_role_of_the_bridge_blamed(
    store: Store, request_for_tcp: TraceRequest
) -> None:
    router = BridgeId("gw1", "br-int")
    store.save_vfds([Bridge(router, 1, BridgeRole.VROUTER, (), ManagementSocket("/nowhere"))])
    culprits = (Culprit("gw1", router), Culprit("gw2", BridgeId("gw2", "br-int")), None)
    for at, culprit in enumerate(culprits):
        task = store.add_task(request_for_tcp, at=1000.0 + at)
        store.save_result(task.id, blamed(task.id, culprit))
    store.add_task(request_for_tcp, at=2000.0)
    found = (Disposition.DROPPED, CauseCategory.CONFIG_ERROR)
    assert store.outcomes() == (
        TaskOutcome(1000.0, 20, 30, *found, BridgeRole.VROUTER),
        TaskOutcome(1001.0, 20, 30, *found),
        TaskOutcome(1002.0, 20, 30, *found),
        TaskOutcome(2000.0, 20, 30),
    )
