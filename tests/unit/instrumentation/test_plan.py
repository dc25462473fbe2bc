from dataclasses import replace

from vtrace_ovs.instrumentation.plan import ArmedTask, Scene, Settings
from vtrace_ovs.instrumentation.planner import plan_bridge
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.topology import Bridge, BridgeId


def test_probes_are_found_by_id(bridge: Bridge, scene: Scene, settings: Settings, task: ArmedTask) -> None:
    plan = plan_bridge(bridge, BridgeTables(1, 0.0, ()), (task,), scene, settings=settings, now=0.0)
    assert plan.probes
    assert all(plan.probe(probe.id) is probe for probe in plan.probes)
    assert plan.probe(max(probe.id for probe in plan.probes) + 1) is None
    assert plan.probe(-1) is None


def test_a_task_knows_its_ports_and_its_aliases(task: ArmedTask, bridge: Bridge) -> None:
    assert task.ofports(bridge.id) == {1}
    assert task.ofports(BridgeId("s9", "br0")) == frozenset()
    alias = Filter("alias")
    assert replace(task, aliases=(alias,)).filters == (task.filter, alias)
