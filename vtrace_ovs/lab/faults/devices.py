"""Turns a running lab into one with a virtual switch that fails."""

from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab
    from vtrace_ovs.lab.server import LabServer


def _server(lab: "Lab", fault: Fault) -> "LabServer":
    if fault.server is None:
        raise UsageError(f"{fault.name.value}: on which server?")
    return lab.servers[fault.server]


def _kill(lab: "Lab", fault: Fault) -> None:
    _server(lab, fault).ovs.kill("ovs-vswitchd")


def _restart(lab: "Lab", fault: Fault) -> None:
    _server(lab, fault).restart_vswitchd(lab.overlay)


FAULTS = {
    FaultName.VSWITCHD_DEAD: FaultKind(
        "ovs-vswitchd of the destination's server is killed",
        NodeDeed(_kill, _restart),
        (Symptom(CauseCode.VSWITCHD_DEAD, Disposition.LOST_IN_VFD, "cs3/br-int"),),
    ),
}
