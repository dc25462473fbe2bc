from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.instrumentation.plan import SourcePorts
from vtrace_ovs.instrumentation.scope import armed_task, refuse_widening, scope_note, source_ports
from vtrace_ovs.model.entrances import tenant_vnis
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Bridge, Port, PortKind, Topology

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


WEB, DB = IPv4Address("10.0.1.1"), IPv4Address("10.0.2.6")
SERVICE = replace(FILTER, protocol=6, destination_port=443, text="tcp,tp_dst=443")
TO_DB = replace(SERVICE, destination=IPv4Network(DB))
FROM_WEB = replace(SERVICE, source=IPv4Network(WEB))


@pytest.fixture
def addressed(topology: Topology, bridge: Bridge) -> Topology:
    """vm1 is 10.0.1.1, vm6 is 10.0.2.6, both of red; vm7 is of green; nobody knows who is behind the last port."""
    others = (
        Port(7, "vm7", PortKind.EDGE, vm="vm7", addresses=(IPv4Address("10.0.7.7"),), tenant="green", vni=7001),
        Port(8, "out", PortKind.EDGE),
    )
    known = {"vm1": WEB, "vm6": DB}
    ports = tuple(replace(port, addresses=(known[port.name],)) if port.name in known else port for port in bridge.ports)
    return replace(topology, bridges=(replace(bridge, ports=(*ports, *others)), *topology.bridges[1:]))


def colored_at(topology: Topology, traffic: Filter, **scope: Any) -> set[int]:  # noqa: ANN401 - fields of a Scope
    (sources,) = source_ports(topology, TraceRequest(traffic, Scope(**scope)))
    return set(sources.ofports)


@pytest.mark.parametrize(
    ("traffic", "scope", "ofports", "words"),
    [
        (FROM_WEB, {}, {1}, "10.0.1.1 is the address of vm1: looked for at 1 edge port of 4"),
        (FROM_WEB, {"vni": 5001}, {1}, None),
        (FROM_WEB, {"vni": 5002}, {6}, None),
        (FROM_WEB, {"wide": True}, {1, 6, 7, 8}, None),
        (FROM_WEB, {"source_vm": "vm6"}, {6}, None),
        (replace(FROM_WEB, source=IPv4Network("10.0.9.9")), {}, {1, 6, 7, 8}, None),
        (replace(FROM_WEB, source=IPv4Network("10.0.0.0/16")), {}, {1, 6, 7, 8}, None),
        (TO_DB, {}, {1, 6, 8}, "10.0.2.6 is an address of tenant red: looked for at 3 edge ports of 4"),
        (TO_DB, {"vni": 7001}, {7}, None),
        (FILTER, {}, {1, 6, 7, 8}, None),
    ],
)
def test_the_addresses_the_inventory_knows_narrow_a_filter_with_a_word_why(
    addressed: Topology, traffic: Filter, scope: dict[str, Any], ofports: set[int], words: str | None
) -> None:
    assert colored_at(addressed, traffic, **scope) == ofports
    request = TraceRequest(traffic, Scope(**scope))
    refuse_widening(addressed, request)
    note = scope_note(addressed, request)
    assert note is None if words is None else note is not None and note.startswith(words)


def test_an_address_of_two_vms_is_looked_for_at_both(addressed: Topology) -> None:
    bridge = addressed.bridges[0]
    ports = tuple(replace(port, addresses=(WEB,)) if port.name == "vm7" else port for port in bridge.ports)
    twins = replace(addressed, bridges=(replace(bridge, ports=ports), *addressed.bridges[1:]))
    assert colored_at(twins, FROM_WEB) == {1, 7}
    with pytest.raises(RefusedError, match="names no source"):  # whose of the two tenants?
        refuse_widening(twins, TraceRequest(replace(TO_DB, destination=IPv4Network(WEB))))


def test_replies_are_not_narrowed_by_addresses_that_nat_may_have_made(addressed: Topology) -> None:
    request = TraceRequest(FROM_WEB, answers=1)
    assert source_ports(addressed, request)[0].ofports == {1, 6, 7, 8}
    refuse_widening(addressed, replace(request, filter=SERVICE))


@pytest.mark.parametrize(
    "traffic",
    [
        SERVICE,
        replace(SERVICE, source_port=53, destination_port=None),
        replace(TO_DB, destination=IPv4Network("10.0.9.9")),
        replace(TO_DB, destination=IPv4Network("10.0.2.0/24")),
        replace(SERVICE, source=IPv4Network("0.0.0.0/0")),
    ],
)
def test_a_filter_that_nothing_narrows_is_refused_unless_that_is_accepted(addressed: Topology, traffic: Filter) -> None:
    with pytest.raises(RefusedError, match=r"at 4 edge ports: name one \(--from, --vni or nw_src\), .* --wide"):
        refuse_widening(addressed, TraceRequest(traffic))
    accepted = TraceRequest(traffic, Scope(wide=True))
    refuse_widening(addressed, accepted)
    assert "at 4 edge ports (--wide)" in (scope_note(addressed, accepted) or "")


def test_a_single_edge_port_has_no_others_to_spare(topology: Topology, bridge: Bridge) -> None:
    alone = replace(topology, bridges=(replace(bridge, ports=bridge.ports[:3]), *topology.bridges[1:]))
    refuse_widening(alone, TraceRequest(SERVICE))
    assert scope_note(alone, TraceRequest(SERVICE)) is None
