from collections.abc import Callable

from vtrace_ovs.lab.faults.fault import Fault, FaultName
from vtrace_ovs.model.overlay import Overlay, RateLimit


def test_a_rate_limit_replaces_the_one_there_was(overlay: Overlay, broken: Callable[[Overlay, Fault], Overlay]) -> None:
    assert broken(overlay, Fault(FaultName.RATE_LIMIT, rate=2)).rate_limits == (RateLimit("blue-web1", 2, 1),)
