from dataclasses import replace

import pytest

from vtrace_ovs.instrumentation.plan import ArmedTask, SourcePorts
from vtrace_ovs.instrumentation.rivals import mistakable, with_fragments
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import Topology


@pytest.fixture
def tunnels(topology: Topology) -> Topology:
    """Only VFDs that packets reach by a tunnel whose VNI the flow sets."""
    return replace(topology, bridges=topology.bridges[2:])


def elsewhere(task: ArmedTask, **changes: object) -> ArmedTask:
    (source,) = task.sources
    moved = replace(task, slot=6, sources=(SourcePorts(source.bridge, frozenset({9})),), vnis=frozenset({7}))
    return replace(moved, **changes)  # type: ignore[arg-type]  # fields of a task


def test_another_tenants_fragments_are_told_apart_by_their_vni(task: ArmedTask, tunnels: Topology) -> None:
    wider = with_fragments(task, (elsewhere(task),), tunnels)
    assert wider == replace(task, fragments=True)


def test_a_task_of_the_same_port_and_addresses_keeps_fragments_from_being_colored(
    task: ArmedTask, tunnels: Topology
) -> None:
    other = replace(task, slot=6, filter=replace(task.filter, destination_port=22), fragments=True)
    assert with_fragments(task, (other,), tunnels) is None
    assert with_fragments(task, (replace(other, fragments=False),), tunnels) is not None


def test_tasks_without_vnis_cannot_be_told_apart_behind_tunnels(task: ArmedTask, tunnels: Topology) -> None:
    assert mistakable((Match(),), task, elsewhere(task, vnis=None), tunnels)
    assert not mistakable((Match(),), task, elsewhere(task), tunnels)
