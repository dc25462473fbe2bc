"""Turns a lab into one that lets less traffic through than is sent."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import DEFAULT_RATE, Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, OverlayEdit, ProgramEdit, Programmed, Symptom, with_flows
from vtrace_ovs.lab.numbering import CookieKind, cookie, vm_ofport
from vtrace_ovs.lab.program import BridgeProgram, FlowLine, MeterLine
from vtrace_ovs.lab.traffic import send_frames
from vtrace_ovs.lab.vswitch_pipeline import EGRESS, OUTPUT, PRIORITY, RATE_LIMIT
from vtrace_ovs.model.overlay import Overlay, RateLimit
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

ADDED_METER = 200
"""Above every meter of the pipelines, which are numbered like the VMs' ports."""
EXPERIMENTAL = bytes.fromhex("88b5")
"""An EtherType that nobody listens to (IEEE 802)."""
POLICING = tuple(f"ingress_policing_{limit}" for limit in ("rate", "burst", "kpkts_rate", "kpkts_burst"))
"""Columns of an Interface (ovs-vswitchd.conf.db(5)): kbit/s, kbit, 1,000 packets/s, 1,000 packets; 0 is no limit."""
LARGER_THAN_BURST = 1000


def _limited(overlay: Overlay, fault: Fault) -> Overlay:
    vm = victim(overlay, fault)
    others = tuple(known for known in overlay.rate_limits if known.vm != vm.name)
    return replace(overlay, rate_limits=(*others, RateLimit(vm.name, fault.rate or DEFAULT_RATE, burst=1)))


def _limited_at_output(programmed: Programmed, fault: Fault) -> BridgeProgram:
    vm = victim(programmed.overlay, fault)
    port = vm_ofport(programmed.overlay, vm)
    actions = f"meter:{ADDED_METER},output:{port}"
    flow = FlowLine(OUTPUT, PRIORITY, f"reg2={port:#x}", actions, cookie(CookieKind.OUTPUT, port))
    meter = MeterLine(ADDED_METER, fault.rate or DEFAULT_RATE, burst=1)
    return _metered(programmed, vm.server, flow, meter)


def _limited_in_kilobits(programmed: Programmed, fault: Fault) -> BridgeProgram:
    vm = victim(programmed.overlay, fault)
    port = vm_ofport(programmed.overlay, vm)
    actions = f"meter:{ADDED_METER},goto_table:{EGRESS}"
    owner = cookie(CookieKind.RATE_LIMIT, ADDED_METER)
    flow = FlowLine(RATE_LIMIT, PRIORITY, f"in_port={port}", actions, owner)
    meter = MeterLine(ADDED_METER, fault.rate or DEFAULT_RATE, burst=1, packets=False)
    return _metered(programmed, vm.server, flow, meter)


def _metered(programmed: Programmed, server: str, flow: FlowLine, meter: MeterLine) -> BridgeProgram:
    if programmed.server != server:
        return programmed.program
    program = with_flows(programmed.program, flow)
    return replace(program, meters=(*program.meters, meter))


def _policed(columns: int) -> Callable[["Lab", Fault], None]:
    """All of them at once: at 1, no packet of more than 125 bytes would ever pass."""

    def police(lab: "Lab", fault: Fault) -> None:
        vm = victim(lab.base, fault)
        lab.servers[vm.server].ovs.vsctl("set", "Interface", vm.name, *(f"{name}={columns}" for name in POLICING))

    return police


def _queued(lab: "Lab", fault: Fault) -> None:
    """A queue of one packet that sends a byte a second, and has spent its burst already."""
    vm = victim(lab.base, fault)
    server = lab.servers[vm.server]
    server.namespace.run("ip", "link", "set", vm.name, "txqueuelen", "1")
    limit = "other_config:max-rate=8"
    server.ovs.vsctl(
        *("--id=@queue", "create", "Queue", limit, "--", "--id=@qos", "create", "QoS", "type=linux-htb", limit),
        *("queues:0=@queue", "--", "set", "Port", vm.name, "qos=@qos"),
    )
    send_frames(server.namespace, vm.name, [bytes(12) + EXPERIMENTAL + bytes(1400)] * 2)


def _unqueued(lab: "Lab", fault: Fault) -> None:
    vm = victim(lab.base, fault)
    server = lab.servers[vm.server]
    qos = server.ovs.vsctl("get", "Port", vm.name, "qos").strip()
    queue = server.ovs.vsctl("get", "QoS", qos, "queues:0").strip()
    server.ovs.vsctl("clear", "Port", vm.name, "qos", "--", "destroy", "QoS", qos, "--", "destroy", "Queue", queue)
    server.namespace.run("ip", "link", "set", vm.name, "txqueuelen", "1000")


FAULTS = {
    FaultName.RATE_LIMIT: FaultKind(
        "a meter of the sender's server lets a packet a second through",
        OverlayEdit(_limited),
        (Symptom(CauseCode.METER_RATE_LIMIT, Disposition.DROPPED, "cs1/br-int", table=15),),
        of_sender=True,
        places=("vm", "rate"),
    ),
    FaultName.DESTINATION_RATE_LIMIT: FaultKind(
        "a meter of the destination's server lets a packet a second out to it",
        ProgramEdit(_limited_at_output),
        (Symptom(CauseCode.METER_RATE_LIMIT, Disposition.DROPPED, "cs3/br-int", table=50),),
        places=("vm", "rate"),
    ),
    FaultName.BANDWIDTH_LIMIT: FaultKind(
        "a meter of the sender's server lets a kilobit a second through",
        ProgramEdit(_limited_in_kilobits),
        (Symptom(CauseCode.METER_RATE_LIMIT, Disposition.DROPPED, "cs1/br-int", table=15),),
        of_sender=True,
        places=("vm", "rate"),
    ),
    FaultName.INGRESS_POLICING: FaultKind(
        "the sender's port lets a kilobit a second in, where its datapath polices: Open vSwitch's own does not",
        NodeDeed(_policed(1), _policed(0)),
        (Symptom(CauseCode.NONE, Disposition.DELIVERED, None, size=LARGER_THAN_BURST),),
        of_sender=True,
    ),
    FaultName.EGRESS_QUEUE: FaultKind(
        "the destination's port has a QoS queue that lets nothing through",
        NodeDeed(_queued, _unqueued),
        (Symptom(CauseCode.EGRESS_QUEUE_LIMIT, Disposition.DROPPED, "cs3/br-int"),),
    ),
}
