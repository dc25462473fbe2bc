from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address

import pytest
from session_network import CS1, CS2, DB, VNI, tcp_to_db, topology
from session_world import World

from vtrace_ovs.errors import RefusedError, UsageError
from vtrace_ovs.model.filter import Filter, Scope
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.task import TaskState, TraceRequest
from vtrace_ovs.session.scope import resolve

TOPOLOGY = topology(CS1, CS2)
ANYTHING = Filter("ip")


def asked(traffic: Filter = ANYTHING, **scope: object) -> TraceRequest:
    return TraceRequest(traffic, Scope(**scope))  # type: ignore[arg-type]


def test_a_destination_vm_becomes_its_address() -> None:
    resolved = resolve(TOPOLOGY, asked(source_vm="web", destination_vm="db"))
    assert resolved.filter.destination == IPv4Network(DB)
    assert resolved.filter.text == f"ip,nw_dst={DB}"


def test_a_request_without_names_stays_as_it_is() -> None:
    request = tcp_to_db()
    assert resolve(TOPOLOGY, request) is request


def test_a_destination_in_the_filter_that_is_the_vm_is_fine() -> None:
    wide = replace(ANYTHING, destination=IPv4Network("10.0.1.0/24"))
    assert resolve(TOPOLOGY, asked(wide, destination_vm="db")).filter.destination == IPv4Network(DB)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (asked(source_vm="wbe"), "did you mean web"),
        (asked(destination_vm="zzz"), "did you mean db, web"),
        (asked(vni=99), f"it knows {VNI}"),
        (asked(replace(ANYTHING, destination=IPv4Network("192.0.2.9/32")), destination_vm="db"), "is not VM db"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_ones(request_: TraceRequest, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        resolve(TOPOLOGY, request_)


def test_a_vm_in_another_vni_contradicts() -> None:
    ports = tuple(replace(port, vni=77) if port.vm == "db" else port for port in TOPOLOGY.bridges[1].ports)
    two = replace(TOPOLOGY, bridges=(TOPOLOGY.bridges[0], replace(TOPOLOGY.bridges[1], ports=ports)))
    with pytest.raises(UsageError, match="VM web is in VNI 5001, not 77"):
        resolve(two, asked(source_vm="web", vni=77))


def test_a_vm_without_a_known_address_needs_a_filter() -> None:
    ports = tuple(replace(port, addresses=()) for port in TOPOLOGY.bridges[1].ports)
    two = replace(TOPOLOGY, bridges=(TOPOLOGY.bridges[0], replace(TOPOLOGY.bridges[1], ports=ports)))
    with pytest.raises(UsageError, match="no IPv4 address of VM db"):
        resolve(two, asked(destination_vm="db"))


def test_what_would_be_noticed_at_every_port_is_refused_unless_a_destination_names_a_tenant() -> None:
    service = replace(ANYTHING, protocol=6, destination_port=443)
    with pytest.raises(RefusedError, match="names no source"):
        resolve(TOPOLOGY, asked(service))
    resolve(TOPOLOGY, asked(service, wide=True))
    owned = tuple(
        replace(bridge, ports=tuple(replace(port, tenant="red") for port in bridge.ports))
        for bridge in TOPOLOGY.bridges
    )
    resolve(replace(TOPOLOGY, bridges=owned), asked(service, destination_vm="db"))


def test_the_destinations_address_is_of_the_filters_family() -> None:
    six = Filter("ipv6", family=IpFamily.IPV6)
    with pytest.raises(UsageError, match="no IPv6 address of VM db; give ipv6_dst"):
        resolve(TOPOLOGY, asked(six, destination_vm="db"))
    ports = tuple(
        replace(port, addresses=(*port.addresses, IPv6Address("fd00::db"))) for port in TOPOLOGY.bridges[1].ports
    )
    two = replace(TOPOLOGY, bridges=(TOPOLOGY.bridges[0], replace(TOPOLOGY.bridges[1], ports=ports)))
    assert resolve(two, asked(six, destination_vm="db")).filter.text == "ipv6,ipv6_dst=fd00::db"
    assert resolve(two, asked(destination_vm="db")).filter.text == f"ip,nw_dst={DB}"


def test_a_task_that_looks_everywhere_says_so_and_one_that_may_not_fails_untouched() -> None:
    world = World(CS1, CS2)
    service = replace(tcp_to_db(), filter=Filter("tcp,tp_dst=443", protocol=6, destination_port=443), scope=Scope())
    world.claim(service)
    assert world.saved()[-1].state is TaskState.FAILED
    assert "names no source" in (world.saved()[-1].reason or "")
    assert not any(world.flows.values())
    world.claim(replace(service, scope=Scope(wide=True)), 2)
    assert "looked for at 2 edge ports (--wide)" in world.session.runs[2].notes[0]
