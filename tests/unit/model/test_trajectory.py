from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.model.trajectory import Ending, Hop, Origin, Trajectory


def test_the_last_hop_is_the_last_one_if_there_is_any() -> None:
    first, second = (Hop(BridgeId(node, "br-int"), 1, 1) for node in ("server1", "server2"))
    assert Trajectory(1, "digest", 0, Origin.OBSERVED, None, (first, second), Ending.OPEN).last is second
    assert Trajectory(1, "digest", 0, Origin.OBSERVED, None, (), Ending.UNKNOWN).last is None
