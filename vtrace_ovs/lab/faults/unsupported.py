"""Turns a lab into one where traffic asks for more than a device on its way can do."""

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import (
    NOTHING_BROKEN,
    FaultKind,
    NodeDeed,
    ProgramEdit,
    Programmed,
    Symptom,
    with_flows,
)
from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.lab.vswitch_pipeline import INGRESS, OUTPUT, PRIORITY
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

USUAL_TTL = 64
ABOVE_RULES = 3000
UNDERLAY_MTU, ALMOST_MTU, OVER_MTU = 1500, 1440, 2000
TIMES = 17
NESTED = (OUTPUT, 51, 52, 53)
"""Tables that resubmit to the next one so many times: 5,219 resubmits, of which Open vSwitch does 4,096."""


def _set_ttl(lab: "Lab", fault: Fault, ttl: int) -> None:
    sender = lab.vm(victim(lab.base, fault).name)
    sender.run("sysctl", "-qw", f"net.ipv4.ip_default_ttl={ttl}", f"net.ipv6.conf.{VM_INTERFACE}.hop_limit={ttl}")


def _short_lived(lab: "Lab", fault: Fault) -> None:
    _set_ttl(lab, fault, 1)


def _long_lived(lab: "Lab", fault: Fault) -> None:
    _set_ttl(lab, fault, USUAL_TTL)


def _large_mtu(lab: "Lab", fault: Fault) -> None:
    lab.vm(victim(lab.base, fault).name).run("ip", "link", "set", VM_INTERFACE, "mtu", str(UNDERLAY_MTU))


def _usual_mtu(lab: "Lab", fault: Fault) -> None:
    lab.configure_vm(victim(lab.base, fault))


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


def _overlapping(programmed: Programmed, fault: Fault) -> BridgeProgram:
    """Two rules about all traffic of the victim, of which Open vSwitch takes the older one: that is the drop."""
    vm = victim(programmed.overlay, fault)
    if programmed.server != vm.server:
        return programmed.program
    owner = cookie(CookieKind.SECURITY_RULE)
    return with_flows(
        programmed.program,
        FlowLine(INGRESS, ABOVE_RULES, f"dl_dst={vm.mac}", "drop", owner),
        FlowLine(INGRESS, ABOVE_RULES, f"reg2={vm_ofport(programmed.overlay, vm):#x}", f"goto_table:{OUTPUT}", owner),
    )


def _encapsulated(programmed: Programmed, fault: Fault) -> BridgeProgram:
    """Behind a network service header (RFC 8300) the packet is no frame any more: no port of Ethernet takes it."""
    port = vm_ofport(programmed.overlay, victim(programmed.overlay, fault))
    return _instead_of_output(programmed, fault, f"encap(nsh(md_type=1)),output:{port}")


_DENIED = Symptom(CauseCode.SECURITY_DEFAULT_DENY, Disposition.DROPPED, "cs3/br-int", table=40)

FAULTS = {
    FaultName.TTL_EXPIRED: FaultKind(
        "the sender gives its packets a TTL (IPv6: hop limit) of 1",
        NodeDeed(_short_lived, _long_lived),
        (Symptom(CauseCode.TTL_EXPIRED, Disposition.DROPPED, "gw1/vr-blue", table=10),),
        of_sender=True,
    ),
    FaultName.TUNNEL_MTU: FaultKind(
        "the sender's interface has the MTU of the underlay, which leaves no room for the outer headers",
        NodeDeed(_large_mtu, _usual_mtu),
        # The ends of a TCP connection agree on the smaller of their MTUs: the destination's is still right.
        (
            Symptom(
                CauseCode.TUNNEL_MTU,
                Disposition.DROPPED,
                "cs1/br-int",
                protocols=(TrafficProtocol.ICMP, TrafficProtocol.UDP),
                size=ALMOST_MTU,
            ),
        ),
        of_sender=True,
    ),
    FaultName.FRAGMENTED: FaultKind(
        "nothing is broken: send datagrams larger than an MTU, of which only the first fragment has ports",
        NOTHING_BROKEN,
        # Rules about ICMP name no ports; TCP cuts segments to size.
        (replace(_DENIED, protocols=(TrafficProtocol.UDP,), size=OVER_MTU),),
    ),
    FaultName.UNKNOWN_PROTOCOL: FaultKind(
        "nothing is broken: send SCTP, which no rule of the destination's security groups knows",
        NOTHING_BROKEN,
        (replace(_DENIED, protocols=(TrafficProtocol.SCTP,), listen=False),),
    ),
    FaultName.PRIORITY_OVERLAP: FaultKind(
        "two rules of the destination's security group have one priority and contradict each other",
        ProgramEdit(_overlapping),
        (Symptom(CauseCode.OVERLAPPING_FLOWS, Disposition.DROPPED, "cs3/br-int", table=40),),
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
