"""Turns a running lab into one whose underlay loses packets."""

from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab


def _link_down(lab: "Lab", fault: Fault) -> None:
    _set_link(lab, fault, "down")


def _link_up(lab: "Lab", fault: Fault) -> None:
    _set_link(lab, fault, "up")


def _set_link(lab: "Lab", fault: Fault, state: str) -> None:
    """One end is enough: a veth pair loses its carrier on both. Each port is named after the other switch."""
    for one, other in lab.base.underlay.links:
        if f"{one}-{other}" == fault.link:
            lab.switches[one].namespace.run("ip", "link", "set", other, state)
            return
    raise UsageError("the underlay has no link between switches")


FAULTS = {
    FaultName.UNDERLAY_LINK_DOWN: FaultKind(
        "a cable between two underlay switches is cut",
        NodeDeed(_link_down, _link_up),
        (Symptom(CauseCode.UNDERLAY_LOSS, Disposition.LOST_ON_WIRE, "cs1/br-int"),),
    ),
}
