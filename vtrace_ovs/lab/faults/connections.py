"""Turns what a controller installs for a VM into a stateful security group that does not know the VM's connections.

What comes to the VM is looked up in a conntrack zone of the VM's own. What it sends should have been committed to that
zone first, and is not: so replies belong to no connection.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vtrace_ovs.lab import vswitch_pipeline
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, ProgramEdit, Programmed, Symptom, with_flows
from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

UNUSED_PORT = 9
# Above every rule of a security group: what these flows let on meets the rules.
LOOKED_UP, DENIED = 4001, 4000
NEW, INVALID = "+trk+new", "+trk+inv"


def _stateful(*denied: str) -> ProgramEdit:
    """What comes to the VM is tracked, and dropped in one of these states."""

    def edit(what: Programmed, fault: Fault) -> BridgeProgram:
        vm = victim(what.overlay, fault)
        if what.server != vm.server:
            return what.program
        return with_flows(what.program, *_flows(vm_ofport(what.overlay, vm), denied))

    return ProgramEdit(edit)


def _flows(port: int, denied: tuple[str, ...]) -> Iterator[FlowLine]:
    owner = cookie(CookieKind.DEFAULT_DENY)
    table = vswitch_pipeline.INGRESS
    for word in ("ip", "ipv6"):
        to_vm = f"{word},reg2={port:#x}"
        yield FlowLine(table, LOOKED_UP, f"{to_vm},ct_state=-trk", f"ct(table={table},zone={port})", owner)
        for state in denied:
            yield FlowLine(table, DENIED, f"{to_vm},ct_state={state}", "drop", owner)


def _committing(what: Programmed, fault: Fault) -> BridgeProgram:
    """A stateful group as it should be: what the VM sends is committed, replies of no connection are dropped."""
    vm = victim(what.overlay, fault)
    if what.server != vm.server:
        return what.program
    port, onward = vm_ofport(what.overlay, vm), vswitch_pipeline.FORWARDING
    commits = (
        FlowLine(
            *(vswitch_pipeline.EGRESS, LOOKED_UP, f"{word},in_port={port}"),
            actions=f"ct(commit,table={onward},zone={port})",
            cookie=cookie(CookieKind.DEFAULT_DENY),
        )
        for word in ("ip", "ipv6")
    )
    return with_flows(what.program, *commits, *_flows(port, (INVALID, NEW)))


def _fill(lab: "Lab", fault: Fault) -> None:
    """Room for one connection in the VM's zone, and one in it."""
    vm = victim(lab.base, fault)
    lab.ovs(vm.server).appctl("dpctl/ct-set-limits", f"zone={vm_ofport(lab.base, vm)},limit=1")
    peer = next(other.name for other in lab.base.tenant(vm.tenant).vms if other.name != vm.name)
    probe = TrafficRequest(vm.name, peer, TrafficProtocol.UDP, UNUSED_PORT, count=1, timeout=0.1, listen=False)
    lab.traffic.run(probe)


def _empty(lab: "Lab", fault: Fault) -> None:
    vm = victim(lab.base, fault)
    zone = f"zone={vm_ofport(lab.base, vm)}"
    lab.ovs(vm.server).appctl("dpctl/ct-del-limits", zone)
    lab.ovs(vm.server).appctl("dpctl/flush-conntrack", zone)


def _lost(code: CauseCode, *protocols: TrafficProtocol) -> Symptom:
    return Symptom(
        *(CauseCode.REPLY_LOST, Disposition.DROPPED, "cs1/br-int"),
        table=40,
        protocols=protocols,
        both=True,
        reply_code=code,
    )


FAULTS = {
    FaultName.REPLY_NOT_ESTABLISHED: FaultKind(
        "the sender's security group is stateful, and does not know the connections that the sender opens",
        _stateful(INVALID, NEW),
        (
            # No packet but a first one makes a connection: replies of TCP and ICMP without a request are invalid.
            _lost(CauseCode.CONNECTION_NOT_ESTABLISHED, TrafficProtocol.UDP),
            Symptom(
                *(CauseCode.CONNECTION_NOT_ESTABLISHED, Disposition.DROPPED, "cs1/br-int"),
                table=40,
                source="blue-db2",
                destination="blue-web1",
            ),
        ),
        of_sender=True,
    ),
    FaultName.CONNTRACK_LIMIT: FaultKind(
        "the sender's security group is stateful, and the conntrack zone of its connections is full",
        ProgramEdit(_committing, NodeDeed(_fill, _empty)),
        # Replies of TCP and ICMP to what was not committed are invalid instead.
        (
            _lost(CauseCode.CONNECTION_NOT_ESTABLISHED, TrafficProtocol.UDP),
            _lost(CauseCode.CONNECTION_INVALID, TrafficProtocol.ICMP, TrafficProtocol.TCP),
        ),
        of_sender=True,
    ),
    FaultName.CONNECTION_INVALID: FaultKind(
        "the sender's server drops what conntrack calls invalid, and never saw the requests",
        _stateful(INVALID),
        # A datagram of UDP is as good a first one as any, unless its checksum is wrong.
        (_lost(CauseCode.CONNECTION_INVALID, TrafficProtocol.ICMP, TrafficProtocol.TCP),),
        of_sender=True,
    ),
}
