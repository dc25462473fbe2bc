from collections.abc import Callable

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.model.overlay import Overlay


def test_traffic_that_is_not_sent_needs_no_change(
    overlay: Overlay, broken: Callable[[Overlay, Fault], Overlay]
) -> None:
    assert broken(overlay, Fault(FaultName.NOT_SENT)) == overlay
