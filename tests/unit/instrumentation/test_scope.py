from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.instrumentation.plan import SourcePorts
from vtrace_ovs.instrumentation.scope import armed_task, source_ports, widening
from vtrace_ovs.model.entrances import tenant_vnis
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, Topology

FILTER = Filter("tcp")


@pytest.mark.parametrize(
    ("scope", "ofports"),
    [(Scope(source_vm="vm6"), {6}), (Scope(vni=5001), {1}), (Scope(), {1, 6}), (Scope(vni=5002, source_vm="vm6"), {6})],
)
def test_a_scope_names_edge_ports(topology: Topology, bridge: Bridge, scope: Scope, ofports: set[int]) -> None:
    assert source_ports(topology, TraceRequest(FILTER, scope)) == (SourcePorts(bridge.id, frozenset(ofports)),)


@pytest.mark.parametrize("scope", [Scope(source_vm="nobody"), Scope(vni=1)])
def test_a_scope_that_names_nothing_is_an_error(topology: Topology, scope: Scope) -> None:
    with pytest.raises(UsageError, match=r"nobody|VNI 1"):
        source_ports(topology, TraceRequest(FILTER, scope))


def test_an_inventory_without_edge_ports_is_an_error() -> None:
    with pytest.raises(UsageError, match="no edge port in any VNI"):
        source_ports(Topology(), TraceRequest(FILTER))


@pytest.mark.parametrize(
    ("scope", "vnis"), [(Scope(vni=5001), {5001, 5002}), (Scope(source_vm="vm6"), {5001, 5002}), (Scope(), None)]
)
def test_a_tenants_vnis_are_all_of_them_or_unknown(topology: Topology, scope: Scope, vnis: set[int] | None) -> None:
    assert tenant_vnis(topology, TraceRequest(FILTER, scope)) == vnis


def test_an_armed_task_has_everything_the_data_plane_needs(topology: Topology, bridge: Bridge) -> None:
    task = armed_task(topology, 9, TraceRequest(FILTER, Scope(vni=5001), packet_count=7), 100.0)
    assert (task.slot, task.packet_count, task.deadline, task.ofports(bridge.id)) == (9, 7, 100.0, frozenset({1}))
    with pytest.raises(RefusedError, match="512"):
        armed_task(topology, 512, TraceRequest(FILTER), 100.0)


SERVICE = replace(FILTER, protocol=6, destination_port=443)


def test_a_service_looked_for_at_every_port_is_said_to_widen_their_megaflows(topology: Topology) -> None:
    request = TraceRequest(SERVICE)
    assert "2 edge ports were traced" in (widening(request, source_ports(topology, request)) or "")


@pytest.mark.parametrize(
    ("traffic", "scope"),
    [
        (FILTER, Scope()),
        (SERVICE, Scope(source_vm="vm6")),
        (SERVICE, Scope(vni=5001)),
        (replace(SERVICE, source=IPv4Network("10.0.0.0/24")), Scope()),
    ],
)
def test_a_source_or_no_port_numbers_widen_nothing_worth_a_word(
    topology: Topology, traffic: Filter, scope: Scope
) -> None:
    request = TraceRequest(traffic, scope)
    assert widening(request, source_ports(topology, request)) is None
