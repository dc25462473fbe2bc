"""Turns a lab into one whose machines, not whose network, are why nothing arrives."""

from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import NOTHING_BROKEN, FaultKind, NodeDeed, Symptom
from vtrace_ovs.lab.traffic import TrafficProtocol
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

_FILTER = "vtrace_fault"


def _firewalled(lab: "Lab", fault: Fault) -> None:
    """The guest's own rules drop all that comes in."""
    hook = "type filter hook input priority 0; policy drop"
    lab.vm(victim(lab.base, fault).name).run("nft", f"table inet {_FILTER} {{\nchain in {{\n{hook};\n}}\n}}")


def _open(lab: "Lab", fault: Fault) -> None:
    lab.vm(victim(lab.base, fault).name).run("nft", "delete", "table", "inet", _FILTER)


def _halted(lab: "Lab", fault: Fault) -> None:
    lab.vm(victim(lab.base, fault).name).run("ip", "link", "set", VM_INTERFACE, "down")


def _running(lab: "Lab", fault: Fault) -> None:
    lab.configure_vm(victim(lab.base, fault))


HALTED = NodeDeed(_halted, _running)
"""The victim's interface is down, as that of a machine that is halted."""

_UNANSWERED = Symptom(CauseCode.NO_REPLY, Disposition.UNSEEN, None, both=True)

FAULTS = {
    FaultName.NOT_SENT: FaultKind(
        "nothing is broken: send nothing",
        NOTHING_BROKEN,
        (Symptom(CauseCode.NOT_SENT, Disposition.UNSEEN, None, rate=0.0),),
    ),
    FaultName.GUEST_FIREWALL: FaultKind(
        "the destination's own firewall drops all that comes in",
        NodeDeed(_firewalled, _open),
        (_UNANSWERED, Symptom(CauseCode.NONE, Disposition.DELIVERED, None)),
    ),
    FaultName.GUEST_DOWN: FaultKind(
        "the destination's network interface is down, as that of a machine that is halted",
        HALTED,
        (Symptom(CauseCode.PORT_DOWN, Disposition.DROPPED, "cs3/br-int"),),
    ),
    FaultName.NO_LISTENER: FaultKind(
        "nothing is broken: send to a port where nobody listens",
        NOTHING_BROKEN,
        (
            Symptom(
                *(CauseCode.CONNECTION_REFUSED, Disposition.DELIVERED, None),
                protocols=(TrafficProtocol.TCP,),
                both=True,
                listen=False,
            ),
            Symptom(
                *(CauseCode.NO_REPLY, Disposition.UNSEEN, None),
                protocols=(TrafficProtocol.UDP,),
                both=True,
                listen=False,
            ),
        ),
    ),
}
