"""Turns a running lab into one whose ports are gone, or wired otherwise than their other ends."""

from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.lab.numbering import patch_name, vm_ofport
from vtrace_ovs.lab.wiring import tunnel_name
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

OTHER_KEY = 9999
OTHER_OFPORT = 999


def _port_goes(lab: "Lab", fault: Fault) -> None:
    _renumber(lab, fault, OTHER_OFPORT)


def _port_comes(lab: "Lab", fault: Fault) -> None:
    _renumber(lab, fault, vm_ofport(lab.base, victim(lab.base, fault)))


def _renumber(lab: "Lab", fault: Fault, ofport: int) -> None:
    """Open vSwitch takes the port out of the bridge and puts it in anew."""
    vm = victim(lab.base, fault)
    lab.ovs(vm.server).vsctl("set", "Interface", vm.name, f"ofport_request={ofport}")


def _other_peer(lab: "Lab", fault: Fault) -> None:
    _set_peer(lab, fault, "nowhere")


def _own_peer(lab: "Lab", fault: Fault) -> None:
    subnet = lab.base.subnet_of(victim(lab.base, fault))
    _set_peer(lab, fault, patch_name(subnet, on_router=True))


def _set_peer(lab: "Lab", fault: Fault, peer: str) -> None:
    """Of the gateway's end; the vRouter's keeps pointing at it."""
    port = patch_name(lab.base.subnet_of(victim(lab.base, fault)), on_router=False)
    lab.ovs(lab.base.gateway().name).vsctl("set", "Interface", port, f"options:peer={peer}")


def _fixed_key(lab: "Lab", fault: Fault) -> None:
    _set_key(lab, fault, str(OTHER_KEY))


def _key_of_flows(lab: "Lab", fault: Fault) -> None:
    _set_key(lab, fault, "flow")


def _set_key(lab: "Lab", fault: Fault, key: str) -> None:
    server = victim(lab.base, fault).server
    lab.ovs(server).vsctl("set", "Interface", tunnel_name(lab.base), f"options:key={key}")


FAULTS = {
    FaultName.PORT_GONE: FaultKind(
        "the destination's port was put in anew, with another number, and its flows stay",
        NodeDeed(_port_goes, _port_comes),
        (Symptom(CauseCode.PORT_GONE, Disposition.DROPPED, "cs3/br-int"),),
    ),
    FaultName.PATCH_HALF_WIRED: FaultKind(
        "the gateway's end of the patch port of the destination's subnet points at a port that does not exist",
        NodeDeed(_other_peer, _own_peer),
        (Symptom(CauseCode.PATCH_UNWIRED, Disposition.DROPPED, "gw1/vr-blue"),),
    ),
    FaultName.TUNNEL_KEY_MISMATCH: FaultKind(
        "the tunnel port of the destination's server takes one VNI only, that of no subnet",
        NodeDeed(_fixed_key, _key_of_flows),
        (Symptom(CauseCode.NO_TUNNEL_ENDPOINT, Disposition.DROPPED, "cs3/br-int"),),
    ),
}
