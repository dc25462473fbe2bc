"""Turns a running lab into one with a virtual switch that fails."""

import os
import signal
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
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


def _stop(lab: "Lab", fault: Fault) -> None:
    os.kill(_server(lab, fault).ovs.pids["ovs-vswitchd"], signal.SIGSTOP)


def _continue(lab: "Lab", fault: Fault) -> None:
    os.kill(_server(lab, fault).ovs.pids["ovs-vswitchd"], signal.SIGCONT)


def _port_down(lab: "Lab", fault: Fault) -> None:
    _set_port(lab, fault, "down")


def _port_up(lab: "Lab", fault: Fault) -> None:
    _set_port(lab, fault, "up")


def _set_port(lab: "Lab", fault: Fault, state: str) -> None:
    vm = victim(lab.base, fault)
    lab.servers[vm.server].namespace.run("ip", "link", "set", vm.name, state)


FAULTS = {
    FaultName.VSWITCHD_DEAD: FaultKind(
        "ovs-vswitchd of the destination's server is killed",
        NodeDeed(_kill, _restart),
        (Symptom(CauseCode.VSWITCHD_DEAD, Disposition.LOST_IN_VFD, "cs3/br-int"),),
    ),
    FaultName.VSWITCHD_HUNG: FaultKind(
        "ovs-vswitchd of the destination's server is there but does nothing",
        NodeDeed(_stop, _continue),
        (Symptom(CauseCode.VSWITCHD_DEAD, Disposition.LOST_IN_VFD, "cs3/br-int"),),
    ),
    FaultName.PORT_DOWN: FaultKind(
        "the port of the destination is down",
        NodeDeed(_port_down, _port_up),
        (Symptom(CauseCode.PORT_DOWN, Disposition.DROPPED, "cs3/br-int"),),
    ),
}
