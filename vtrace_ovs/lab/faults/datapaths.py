"""Turns a running lab into one whose datapath does not do what the flow tables say."""

from typing import TYPE_CHECKING

from vtrace_ovs.codecs.datapath_flows import datapath_flows
from vtrace_ovs.errors import UsageError
from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.lab.traffic import TrafficProtocol, TrafficRequest
from vtrace_ovs.model.packet import IpFamily
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

UNUSED_PORT = 9
LONG_IDLE = 600_000
"""Milliseconds a datapath flow is kept without traffic, so that traffic may come when it likes."""
DECAPSULATES = "tnl_pop("


def _stale(lab: "Lab", fault: Fault) -> None:
    """What comes to the server in a tunnel is dropped in its datapath; ovs-vswitchd knows nothing of it.

    Its revalidators compare the flow tables with what they installed, and never ask the datapath for its actions.
    """
    if fault.server is None:
        raise UsageError(f"{fault.name.value}: on which server?")
    ovs = lab.servers[fault.server].ovs
    _probe(lab, fault)
    flows = datapath_flows(ovs.appctl("dpctl/dump-flows", "-m", "--no-names"))
    broken = [flow for flow in flows if DECAPSULATES in flow.actions]
    if not broken:
        raise UsageError(f"{fault.name.value}: no VM's traffic to {fault.vm} comes to {fault.server} in a tunnel")
    ovs.vsctl("set", "Open_vSwitch", ".", f"other_config:max-idle={LONG_IDLE}")
    for flow in broken:
        ovs.appctl("dpctl/mod-flow", flow.key, "drop")


def _probe(lab: "Lab", fault: Fault) -> None:
    """Have every VM of the tenant send to the victim once, so that the datapath has flows for what comes from each."""
    vm = victim(lab.base, fault)
    peers = [peer for peer in lab.base.tenant(vm.tenant).vms if peer.server != vm.server]
    for peer in peers:
        probe = TrafficRequest(
            peer.name,
            vm.name,
            TrafficProtocol.UDP,
            UNUSED_PORT,
            count=1,
            timeout=0.1,
            listen=False,
            family=IpFamily.IPV4,
        )
        lab.traffic.run(probe)


def _anew(lab: "Lab", fault: Fault) -> None:
    if fault.server is None:
        raise UsageError(f"{fault.name.value}: on which server?")
    ovs = lab.servers[fault.server].ovs
    ovs.vsctl("remove", "Open_vSwitch", ".", "other_config", "max-idle")
    ovs.appctl("revalidator/purge")


_STALE = (CauseCode.STALE_MEGAFLOW, Disposition.LOST_IN_VFD)

FAULTS = {
    FaultName.STALE_MEGAFLOW: FaultKind(
        "the datapath of the destination's server drops what comes in a tunnel, whatever the flow tables say",
        NodeDeed(_stale, _anew),
        (
            Symptom(*_STALE, "cs3/br-int"),
            Symptom(
                *(*_STALE, "gw1/br-int"),
                server="gw1",
                protocols=(TrafficProtocol.UDP,),
                families=(IpFamily.IPV4,),
            ),
        ),
        places=("vm", "server"),
    ),
}
