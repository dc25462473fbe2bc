"""Turns an overlay into one that lets less traffic through than is sent."""

from dataclasses import replace

from vtrace_ovs.lab.faults.fault import DEFAULT_RATE, Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, OverlayEdit, Symptom
from vtrace_ovs.model.overlay import Overlay, RateLimit
from vtrace_ovs.model.verdict import CauseCode, Disposition


def _limited(overlay: Overlay, fault: Fault) -> Overlay:
    vm = victim(overlay, fault)
    others = tuple(known for known in overlay.rate_limits if known.vm != vm.name)
    return replace(overlay, rate_limits=(*others, RateLimit(vm.name, fault.rate or DEFAULT_RATE, burst=1)))


FAULTS = {
    FaultName.RATE_LIMIT: FaultKind(
        "a meter of the sender's server lets a packet a second through",
        OverlayEdit(_limited),
        (Symptom(CauseCode.METER_RATE_LIMIT, Disposition.DROPPED, "cs1/br-int", table=15),),
        of_sender=True,
    ),
}
