"""Turns a lab into one where traffic asks for more than a device on its way can do."""

from itertools import pairwise
from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, ProgramEdit, Programmed, Symptom, with_flows
from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.lab.vswitch_pipeline import OUTPUT, PRIORITY
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

USUAL_TTL = 64
TIMES = 17
NESTED = (OUTPUT, 51, 52, 53)
"""Tables that resubmit to the next one so many times: 5,219 resubmits, of which Open vSwitch does 4,096."""


def _set_ttl(lab: "Lab", fault: Fault, ttl: int) -> None:
    sender = lab.vm(victim(lab.base, fault).name)
    sender.run("sysctl", "-qw", f"net.ipv4.ip_default_ttl={ttl}", f"net.ipv6.conf.eth0.hop_limit={ttl}")


def _short_lived(lab: "Lab", fault: Fault) -> None:
    _set_ttl(lab, fault, 1)


def _long_lived(lab: "Lab", fault: Fault) -> None:
    _set_ttl(lab, fault, USUAL_TTL)


def _instead_of_output(programmed: Programmed, fault: Fault, actions: str, *more: FlowLine) -> BridgeProgram:
    """With other actions where the packet would be handed to the victim."""
    vm = victim(programmed.overlay, fault)
    if programmed.server != vm.server:
        return programmed.program
    port = vm_ofport(programmed.overlay, vm)
    owner = cookie(CookieKind.OUTPUT, port)
    return with_flows(programmed.program, FlowLine(OUTPUT, PRIORITY, f"reg2={port:#x}", actions, owner), *more)


def _too_deep(programmed: Programmed, fault: Fault) -> BridgeProgram:
    return _instead_of_output(programmed, fault, f"resubmit(,{OUTPUT})")


def _too_many(programmed: Programmed, fault: Fault) -> BridgeProgram:
    def onward(table_id: int) -> str:
        return ",".join([f"resubmit(,{table_id})"] * TIMES)

    more = (
        FlowLine(here, PRIORITY, "", onward(there), cookie(CookieKind.OUTPUT)) for here, there in pairwise(NESTED[1:])
    )
    return _instead_of_output(programmed, fault, onward(NESTED[1]), *more)


def _encapsulated(programmed: Programmed, fault: Fault) -> BridgeProgram:
    """Behind a network service header (RFC 8300) the packet is no frame any more: no port of Ethernet takes it."""
    port = vm_ofport(programmed.overlay, victim(programmed.overlay, fault))
    return _instead_of_output(programmed, fault, f"encap(nsh(md_type=1)),output:{port}")


FAULTS = {
    FaultName.TTL_EXPIRED: FaultKind(
        "the sender gives its packets a TTL (IPv6: hop limit) of 1",
        NodeDeed(_short_lived, _long_lived),
        (Symptom(CauseCode.TTL_EXPIRED, Disposition.DROPPED, "gw1/vr-blue", table=10),),
        of_sender=True,
    ),
    FaultName.RECURSION_LIMIT: FaultKind(
        "a flow of the destination's server resubmits to its own table for ever",
        ProgramEdit(_too_deep),
        (Symptom(CauseCode.TRANSLATION_LIMIT, Disposition.DROPPED, "cs3/br-int", table=50),),
    ),
    FaultName.RESUBMIT_LIMIT: FaultKind(
        "flows of the destination's server resubmit more often than Open vSwitch does for a packet",
        ProgramEdit(_too_many),
        # The limit knows no protocol, and so many branches take half a second to walk: once is enough.
        (
            Symptom(
                CauseCode.TRANSLATION_LIMIT,
                Disposition.DROPPED,
                "cs3/br-int",
                table=53,
                protocols=(TrafficProtocol.ICMP,),
                families=(IpFamily.IPV4,),
            ),
        ),
    ),
    FaultName.UNSUPPORTED_ACTION: FaultKind(
        "the last flow for the destination has an action that the table walk does not model",
        ProgramEdit(_encapsulated),
        (Symptom(CauseCode.UNSUPPORTED, Disposition.INCONCLUSIVE, "cs3/br-int"),),
    ),
}
