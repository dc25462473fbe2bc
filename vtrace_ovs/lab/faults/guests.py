"""Turns a lab into one whose machines, not whose network, are why nothing arrives."""

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.lab.faults.kinds import FaultKind, OverlayEdit, Symptom
from vtrace_ovs.model.overlay import Overlay
from vtrace_ovs.model.verdict import CauseCode, Disposition


def _unchanged(overlay: Overlay, _fault: Fault) -> Overlay:
    return overlay


FAULTS = {
    FaultName.NOT_SENT: FaultKind(
        "nothing is broken: send nothing",
        OverlayEdit(_unchanged),
        (Symptom(CauseCode.NOT_SENT, Disposition.UNSEEN, None, rate=0.0),),
    ),
}
