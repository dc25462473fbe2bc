"""Turns what a controller installs into forwarding entries that send the traffic to the wrong place, or to none."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab import vswitch_pipeline
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import (
    FaultKind,
    NodeDeed,
    ProgramEdit,
    Programmed,
    Symptom,
    reworded,
    with_actions,
    with_flows,
    without_flows,
)
from vtrace_ovs.lab.numbering import TUNNEL_OFPORT, CookieKind, kind_of, vm_ofport, vrouter
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.vswitch_pipeline import tunnel_actions
from vtrace_ovs.model.overlay import Overlay, OverlayServer, OverlayVm, ServerRole
from vtrace_ovs.model.packet import IPAddress
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

OTHER_VLAN = 100
OTHER_VNI = 1000


def _unknown_next_hop(what: Programmed, fault: Fault) -> BridgeProgram:
    """The MAC that the vRouter writes is nobody's."""
    vm = victim(what.overlay, fault)
    return _next_hop(what, vm, f"0e{vm.mac[2:]}")


def _wrong_next_hop(what: Programmed, fault: Fault) -> BridgeProgram:
    """The MAC that the vRouter writes is that of another VM of the subnet."""
    vm = victim(what.overlay, fault)
    others = [one for one in what.overlay.tenant(vm.tenant).vms if one.subnet == vm.subnet and one.name != vm.name]
    if not others:
        raise UsageError(f"{fault.name.value}: {vm.name} is the only VM of its subnet")
    return _next_hop(what, vm, others[0].mac)


def _next_hop(what: Programmed, vm: OverlayVm, mac: str) -> BridgeProgram:
    if what.bridge != vrouter(vm.tenant):
        return what.program
    return reworded(what.program, lambda flow: kind_of(flow.cookie) is CookieKind.NEIGHBOUR, vm.mac, mac)


def _unknown_destination(what: Programmed, fault: Fault) -> BridgeProgram:
    """No other server has an entry for the VM's MAC."""
    vm = victim(what.overlay, fault)
    if what.server == vm.server:
        return what.program
    return without_flows(what.program, lambda flow: _forwards_to(flow, vm))


def _forwards_to(flow: FlowLine, vm: OverlayVm) -> bool:
    return kind_of(flow.cookie) is CookieKind.FORWARDING and flow.match.endswith(f"dl_dst={vm.mac}")


def _unknown_vni(what: Programmed, fault: Fault) -> BridgeProgram:
    """The VM's server expects its subnet in another VNI."""
    vm = victim(what.overlay, fault)
    vni = what.overlay.subnet_of(vm).vni
    if what.server != vm.server:
        return what.program
    classifying = f"in_port={TUNNEL_OFPORT},tun_id={vni:#x}"
    other = f"in_port={TUNNEL_OFPORT},tun_id={vni + OTHER_VNI:#x}"
    return reworded(what.program, lambda flow: flow.match == classifying, classifying, other)


def _vlan_mismatch(what: Programmed, fault: Fault) -> BridgeProgram:
    """The VM's server expects it in a VLAN; ARP may come without, or the VM would send nothing."""
    vm = victim(what.overlay, fault)
    if what.server != vm.server:
        return what.program
    port = f"in_port={vm_ofport(what.overlay, vm)}"
    found = [flow for flow in what.program.flows if (flow.table_id, flow.match) == (vswitch_pipeline.CLASSIFY, port)]
    tagged = reworded(what.program, found.__contains__, port, f"{port},dl_vlan={OTHER_VLAN}")
    return with_flows(tagged, *(replace(flow, match=f"arp,{port}") for flow in found))


def _wrong_vtep(what: Programmed, fault: Fault) -> BridgeProgram:
    """The gateway sends to the next server that has a VM of the subnet; that one knows better."""
    vm = victim(what.overlay, fault)
    hosts = {one.server for one in what.overlay.tenant(vm.tenant).vms if one.subnet == vm.subnet} - {vm.server}
    if not hosts:
        raise UsageError(f"{fault.name.value}: only {vm.server} has VMs of the subnet of {vm.name}")
    return _sent_to(what, vm, what.overlay.server(min(hosts)).vtep)


def _vtep_of_nobody(what: Programmed, fault: Fault) -> BridgeProgram:
    """The gateway sends to the last address of the underlay, which no server has."""
    return _sent_to(what, victim(what.overlay, fault), _free_address(what.overlay))


def _free_address(overlay: Overlay) -> IPAddress:
    return overlay.underlay.prefix[-2]


def _answered_for(lab: "Lab", fault: Fault) -> None:  # noqa: ARG001 - a NodeDeed
    """As if somebody had that address: gateways know a MAC for it."""
    _neighbours(lab, _free_address(lab.base))


def _unanswered_for(lab: "Lab", fault: Fault) -> None:  # noqa: ARG001 - a NodeDeed
    _neighbours(lab)


def _neighbours(lab: "Lab", *more: IPAddress) -> None:
    for gateway in lab.base.gateways():
        others = (server.vtep for server in lab.base.servers if server != gateway)
        lab.servers[gateway.name].know_neighbours(*others, *more)


def _sent_to(what: Programmed, vm: OverlayVm, vtep: IPAddress) -> BridgeProgram:
    if not what.of_gateway:
        return what.program
    actions = tunnel_actions(what.overlay.subnet_of(vm).vni, vtep)
    return with_actions(what.program, lambda flow: _forwards_to(flow, vm), actions)


def _sent_back(what: Programmed, fault: Fault) -> BridgeProgram:
    """The VM's own server takes it to be on the first other compute server."""
    vm = victim(what.overlay, fault)
    if what.server != vm.server:
        return what.program
    elsewhere = next(one for one in what.overlay.servers if _other_compute(one, vm))
    actions = tunnel_actions(what.overlay.subnet_of(vm).vni, elsewhere.vtep)
    return with_actions(what.program, lambda flow: _forwards_to(flow, vm), actions)


def _other_compute(server: OverlayServer, vm: OverlayVm) -> bool:
    return server.role is ServerRole.COMPUTE and server.name != vm.server


def _output(actions: str) -> ProgramEdit:
    """The last flow before the VM's port does this instead."""

    def edit(what: Programmed, fault: Fault) -> BridgeProgram:
        return with_actions(what.program, _last_before(what, fault), actions)

    return ProgramEdit(edit)


def _without_output(what: Programmed, fault: Fault) -> BridgeProgram:
    return without_flows(what.program, _last_before(what, fault))


def _last_before(what: Programmed, fault: Fault) -> Callable[[FlowLine], bool]:
    vm = victim(what.overlay, fault)
    port = f"reg2={vm_ofport(what.overlay, vm):#x}"
    return lambda flow: what.server == vm.server and (flow.table_id, flow.match) == (vswitch_pipeline.OUTPUT, port)


_LAST = "cs3/br-int"
_GATEWAY = "gw1/br-int"

FAULTS = {
    FaultName.UNKNOWN_NEXT_HOP: FaultKind(
        "the vRouter writes a MAC that is nobody's for the destination",
        ProgramEdit(_unknown_next_hop),
        (Symptom(CauseCode.UNKNOWN_DESTINATION, Disposition.DROPPED, _GATEWAY, table=30),),
    ),
    FaultName.UNKNOWN_DESTINATION: FaultKind(
        "only the destination's own server has a forwarding entry for it",
        ProgramEdit(_unknown_destination),
        (
            Symptom(CauseCode.UNKNOWN_DESTINATION, Disposition.DROPPED, _GATEWAY, table=30),
            Symptom(
                CauseCode.UNKNOWN_DESTINATION,
                Disposition.DROPPED,
                "cs1/br-int",
                table=30,
                destination="blue-web3",
                vm="blue-web3",
            ),
        ),
    ),
    FaultName.UNKNOWN_VNI: FaultKind(
        "the destination's server expects its subnet in another VNI",
        ProgramEdit(_unknown_vni),
        (Symptom(CauseCode.UNKNOWN_VNI, Disposition.DROPPED, _LAST, table=0),),
    ),
    FaultName.VLAN_MISMATCH: FaultKind(
        "the sender's server expects its traffic in a VLAN, and it comes without a tag",
        ProgramEdit(_vlan_mismatch),
        (Symptom(CauseCode.VLAN_MISMATCH, Disposition.DROPPED, "cs1/br-int", table=0),),
        of_sender=True,
    ),
    FaultName.WRONG_VTEP: FaultKind(
        "the gateway sends the destination's traffic to another server",
        ProgramEdit(_wrong_vtep),
        (Symptom(CauseCode.OUTPUT_TO_INGRESS, Disposition.DROPPED, "cs2/br-int", table=30),),
    ),
    FaultName.OUTPUT_TO_INGRESS: FaultKind(
        "the destination's own server sends its traffic back into the tunnel",
        ProgramEdit(_sent_back),
        (Symptom(CauseCode.OUTPUT_TO_INGRESS, Disposition.DROPPED, _LAST, table=30),),
    ),
    FaultName.NO_OUTPUT: FaultKind(
        "the flow that should output to the destination's port only writes a register",
        _output("load:1->NXM_NX_REG5[]"),
        (Symptom(CauseCode.NO_OUTPUT_ACTION, Disposition.DROPPED, _LAST, table=50),),
    ),
    FaultName.EXPLICIT_DROP: FaultKind(
        "the flow that should output to the destination's port drops",
        _output("drop"),
        (Symptom(CauseCode.EXPLICIT_DROP, Disposition.DROPPED, _LAST, table=50),),
    ),
    FaultName.TABLE_MISS: FaultKind(
        "the flow that should output to the destination's port is missing",
        ProgramEdit(_without_output),
        (Symptom(CauseCode.TABLE_MISS, Disposition.DROPPED, _LAST, table=50),),
    ),
    FaultName.VTEP_OF_NOBODY: FaultKind(
        "the gateway sends the destination's traffic to an address that no server has",
        ProgramEdit(_vtep_of_nobody),
        (Symptom(CauseCode.NO_TUNNEL_ENDPOINT, Disposition.DROPPED, _GATEWAY),),
    ),
    FaultName.VTEP_OUTSIDE: FaultKind(
        "the gateway sends the destination's traffic to a machine that nobody traces",
        ProgramEdit(_vtep_of_nobody, NodeDeed(_answered_for, _unanswered_for)),
        (Symptom(CauseCode.OUTSIDE_INVENTORY, Disposition.INCONCLUSIVE, None),),
    ),
    FaultName.WRONG_NEXT_HOP: FaultKind(
        "the vRouter writes the MAC of another VM of the subnet for the destination",
        ProgramEdit(_wrong_next_hop),
        (Symptom(CauseCode.WRONG_ENDPOINT, Disposition.INCONCLUSIVE, "cs2/br-int"),),
    ),
}
