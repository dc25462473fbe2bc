"""Turns a running lab into one with a virtual switch that fails."""

import os
import signal
from typing import TYPE_CHECKING

from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.lab.numbering import INTEGRATION_BRIDGE, PHYSICAL_BRIDGE
from vtrace_ovs.lab.wiring import tunnel_name
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab
    from vtrace_ovs.lab.server import LabServer

OTHER_UDP_PORT = "4790"
OTHER_ADDRESS = "172.31.0.99"


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


def _set_tunnel(lab: "Lab", fault: Fault, option: str, value: str) -> None:
    _server(lab, fault).ovs.vsctl("set", "Interface", tunnel_name(lab.base), f"options:{option}={value}")


def _other_udp_port(lab: "Lab", fault: Fault) -> None:
    _set_tunnel(lab, fault, "dst_port", OTHER_UDP_PORT)


def _usual_udp_port(lab: "Lab", fault: Fault) -> None:
    _server(lab, fault).ovs.vsctl("remove", "Interface", tunnel_name(lab.base), "options", "dst_port")


def _other_address(lab: "Lab", fault: Fault) -> None:
    _set_tunnel(lab, fault, "local_ip", OTHER_ADDRESS)


def _own_address(lab: "Lab", fault: Fault) -> None:
    _set_tunnel(lab, fault, "local_ip", str(_server(lab, fault).server.vtep))


def _without_tunnel(lab: "Lab", fault: Fault) -> None:
    _move_tunnel(lab, fault, INTEGRATION_BRIDGE, PHYSICAL_BRIDGE)


def _with_tunnel(lab: "Lab", fault: Fault) -> None:
    _move_tunnel(lab, fault, PHYSICAL_BRIDGE, INTEGRATION_BRIDGE)


def _move_tunnel(lab: "Lab", fault: Fault, old: str, new: str) -> None:
    """The very same row: a port that is deleted and added again is another one."""
    ovs = _server(lab, fault).ovs
    port = ovs.vsctl("get", "Port", tunnel_name(lab.base), "_uuid").strip()
    ovs.vsctl("remove", "Bridge", old, "ports", port, "--", "add", "Bridge", new, "ports", port)


def _port_down(lab: "Lab", fault: Fault) -> None:
    _set_port(lab, fault, "down")


def _port_up(lab: "Lab", fault: Fault) -> None:
    _set_port(lab, fault, "up")


def _set_port(lab: "Lab", fault: Fault, state: str) -> None:
    vm = victim(lab.base, fault)
    lab.servers[vm.server].namespace.run("ip", "link", "set", vm.name, state)


_REFUSED = (Symptom(CauseCode.NO_TUNNEL_ENDPOINT, Disposition.DROPPED, "cs3/br-int"),)

FAULTS = {
    FaultName.VSWITCHD_DEAD: FaultKind(
        "ovs-vswitchd of the destination's server is killed",
        NodeDeed(_kill, _restart),
        (Symptom(CauseCode.VSWITCHD_DEAD, Disposition.LOST_IN_VFD, "cs3/br-int"),),
        places=("vm", "server"),
    ),
    FaultName.VSWITCHD_HUNG: FaultKind(
        "ovs-vswitchd of the destination's server is there but does nothing",
        NodeDeed(_stop, _continue),
        (Symptom(CauseCode.VSWITCHD_DEAD, Disposition.LOST_IN_VFD, "cs3/br-int"),),
        places=("vm", "server"),
    ),
    FaultName.TUNNEL_UDP_PORT: FaultKind(
        "the tunnel port of the destination's server listens on another UDP port than all others send to",
        NodeDeed(_other_udp_port, _usual_udp_port),
        _REFUSED,
        places=("vm", "server"),
    ),
    FaultName.TUNNEL_ADDRESS: FaultKind(
        "the tunnel port of the destination's server has a local_ip that is not the server's",
        NodeDeed(_other_address, _own_address),
        _REFUSED,
        places=("vm", "server"),
    ),
    FaultName.TUNNEL_PORT_GONE: FaultKind(
        "the tunnel port of the destination's server is in the wrong bridge",
        NodeDeed(_without_tunnel, _with_tunnel),
        _REFUSED,
        places=("vm", "server"),
    ),
    FaultName.PORT_DOWN: FaultKind(
        "the port of the destination is down",
        NodeDeed(_port_down, _port_up),
        (Symptom(CauseCode.PORT_DOWN, Disposition.DROPPED, "cs3/br-int"),),
    ),
}
