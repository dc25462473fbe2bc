"""Turns what a controller installs for source NAT into a pool of one address and one port, which somebody has taken."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, ProgramEdit, Programmed, Symptom, reworded, with_flows
from vtrace_ovs.lab.gateway_pipeline import OUTPUT
from vtrace_ovs.lab.nat_pipeline import SOURCE, SOURCE_ZONE, zone_of
from vtrace_ovs.lab.numbering import CookieKind, cookie, kind_of, patch_ofport, vrouter
from vtrace_ovs.lab.program import FAMILY_WORDS, BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.overlay import NatKind, Overlay, OverlayVm
from vtrace_ovs.model.packet import ADDRESS_FIELDS, IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

ONLY_PORT = 1024
ABOVE_OUTPUT = 200
OUTSIDE_VM = "ext1"


def _one_port(what: Programmed, fault: Fault) -> BridgeProgram:
    """Each outside address has one port. What has no part in it goes on as it was: it is kept from going out."""
    vm = victim(what.overlay, fault)
    if what.bridge != vrouter(vm.tenant):
        return what.program
    rules = [rule for rule in what.overlay.tenant(vm.tenant).nat if rule.kind is NatKind.SNAT]
    if not rules:
        raise UsageError(f"{fault.name.value}: tenant {vm.tenant} has no source NAT")
    program = what.program
    for rule in rules:
        pool = f"{rule.outside}:{ONLY_PORT}" if rule.family is IpFamily.IPV4 else f"[{rule.outside}]:{ONLY_PORT}"
        program = reworded(program, _translates, f"nat(src={rule.outside})", f"nat(src={pool})")
    outside = next((one for one in what.overlay.vms() if one.name == OUTSIDE_VM), None)
    if outside is None or _neighbour(what.overlay, vm) is None:
        raise UsageError(f"{fault.name.value}: {vm.name} needs a neighbour, and {OUTSIDE_VM} to send to")
    out = patch_ofport(what.overlay, what.overlay.subnet_of(outside))
    untranslated = (
        f"{FAMILY_WORDS[rule.family]},ct_state=+new+trk,{ADDRESS_FIELDS[rule.family][0]}={prefix},reg2={out:#x}"
        for rule in rules
        for prefix in rule.inside
    )
    owner = cookie(CookieKind.NAT)
    return with_flows(program, *(FlowLine(OUTPUT, ABOVE_OUTPUT, match, "drop", owner) for match in untranslated))


def _translates(flow: FlowLine) -> bool:
    return flow.table_id == SOURCE and kind_of(flow.cookie) is CookieKind.NAT


def _take(lab: "Lab", fault: Fault) -> None:
    """Another machine of the subnet is the first to ask."""
    vm = victim(lab.base, fault)
    protocol = TrafficProtocol(fault.protocol)
    other = _neighbour(lab.base, vm)
    if other is None:
        raise UsageError(f"{fault.name.value}: {vm.name} is the only VM of its subnet")
    request = TrafficRequest(other.name, OUTSIDE_VM, protocol, fault.port, count=1, timeout=0.3, listen=False)
    lab.traffic.run(replace(request, family=fault.family))


def _neighbour(overlay: Overlay, vm: OverlayVm) -> OverlayVm | None:
    others = (one for one in overlay.tenant(vm.tenant).vms if one.subnet == vm.subnet and one.name != vm.name)
    return next(others, None)


def _give_back(lab: "Lab", fault: Fault) -> None:
    tenant = lab.base.tenant(victim(lab.base, fault).tenant)
    zone = zone_of(lab.base, tenant) + SOURCE_ZONE
    for gateway in lab.base.gateways():
        lab.ovs(gateway.name).appctl("dpctl/flush-conntrack", f"zone={zone}")


FAULTS = {
    FaultName.SNAT_EXHAUSTED: FaultKind(
        "the sender's source NAT has one address and port, which another machine has taken",
        ProgramEdit(_one_port, NodeDeed(_take, _give_back)),
        # Echo requests have no ports: two of different identifiers share an address.
        (
            Symptom(
                *(CauseCode.NAT_EXHAUSTED, Disposition.DROPPED, "gw1/vr-green"),
                table=OUTPUT,
                source="web1",
                destination=OUTSIDE_VM,
                topology="nat",
                protocols=(TrafficProtocol.TCP, TrafficProtocol.UDP),
            ),
        ),
        of_sender=True,
        selective=True,
        places=("vm", "protocol", "port"),
    ),
}
