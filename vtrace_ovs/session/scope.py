"""Turns a request that names VMs and VNIs into one that is true of this inventory, or says which name is wrong."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from ipaddress import ip_network

from vtrace_ovs.errors import UsageError
from vtrace_ovs.filters import canonical_text
from vtrace_ovs.instrumentation.scope import refuse_widening, source_ports
from vtrace_ovs.model.filter import Filter
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IpFamily
from vtrace_ovs.model.task import TraceRequest
from vtrace_ovs.model.topology import Topology, Vm


def resolve(topology: Topology, request: TraceRequest) -> TraceRequest:
    """The request with ``destination_vm`` turned into the VM's address.

    Raises UsageError for an unknown VM or VNI, and for names that contradict the filter or each other; RefusedError for
    a request that would multiply other traffic's megaflows.
    """
    scope = request.scope
    known = {port.vni for bridge in topology.vfds() for port in bridge.ports if port.vni is not None}
    if scope.vni is not None and scope.vni not in known:
        raise UsageError(f"VNI {scope.vni} is not in the inventory; it knows {_listed(map(str, sorted(known)))}")
    source = None if scope.source_vm is None else _vm(topology, scope.source_vm)
    own_vni = request.answers is None  # a reply may come from another subnet than its request
    if source is not None and own_vni and scope.vni not in (None, source.port.vni):
        raise UsageError(f"VM {source.name} is in VNI {source.port.vni}, not {scope.vni}; give one of the two")
    source_ports(topology, request)
    if scope.destination_vm is not None:
        request = replace(request, filter=_toward(request.filter, _vm(topology, scope.destination_vm)))
    refuse_widening(topology, request)
    return request


def _vm(topology: Topology, name: str) -> Vm:
    found = topology.vm(name)
    if found is None:
        names = sorted(vm.name for vm in topology.vms())
        near = get_close_matches(name, names, n=3) or names[:5]
        raise UsageError(f"VM {name!r} is not in the inventory; did you mean {_listed(near)}?")
    return found


def _toward(traffic: Filter, vm: Vm) -> Filter:
    address = vm.port.address_of(traffic.family)
    field = ADDRESS_FIELDS[traffic.family][1]
    if address is None:
        version = {IpFamily.IPV4: "IPv4", IpFamily.IPV6: "IPv6"}[traffic.family]
        raise UsageError(f"the inventory has no {version} address of VM {vm.name}; give {field} in the filter instead")
    if traffic.destination is not None and address not in traffic.destination:
        raise UsageError(f"the filter's {field} {traffic.destination} is not VM {vm.name}, {address}")
    narrowed = replace(traffic, destination=ip_network(address))
    return replace(narrowed, text=canonical_text(narrowed))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
