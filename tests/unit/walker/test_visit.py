from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.visit import Fork


def test_copies_keep_their_own_history() -> None:
    one, other = Fork(1, PacketState(0)), Fork(1, PacketState(0))
    one.meters.append(3)
    assert (other.meters, other.found, other.recirculations) == ([], [], 0)
