"""Turns what a controller installs for a VM into a stateful security group that does not know the VM's connections.

What comes to the VM is looked up in a conntrack zone of the VM's own. What it sends should have been committed to that
zone first, and is not: so replies belong to no connection.
"""

from collections.abc import Iterator

from vtrace_ovs.lab import vswitch_pipeline
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, ProgramEdit, Programmed, Symptom, with_flows
from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.model.verdict import CauseCode, Disposition

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
    FaultName.CONNECTION_INVALID: FaultKind(
        "the sender's server drops what conntrack calls invalid, and never saw the requests",
        _stateful(INVALID),
        # A datagram of UDP is as good a first one as any, unless its checksum is wrong.
        (_lost(CauseCode.CONNECTION_INVALID, TrafficProtocol.ICMP, TrafficProtocol.TCP),),
        of_sender=True,
    ),
}
