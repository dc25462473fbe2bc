import threading
from collections.abc import Callable

from vtrace_ovs.controller.seam import cooperative
from vtrace_ovs.controller.settling import ROUNDS, Settler
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.session.boundary import RoundWaiter, SocketWrapper

BRIDGE = Bridge(BridgeId("s1", "br-int"), 1, BridgeRole.VSWITCH, (), ManagementSocket("/run/br-int.mgmt"))
DEADLINE = 60.0


def settled(wait_rounds: RoundWaiter) -> list[str]:
    """What happens, in order, until the datapath is said to follow."""
    happened: list[str] = []
    done = threading.Event()

    def finish() -> None:
        happened.append("done")
        done.set()

    Settler(wait_rounds).settle(BRIDGE, lambda: happened.append("touch"), finish)
    assert done.wait(DEADLINE)
    return happened


def test_a_flow_is_touched_for_each_of_two_rounds_before_it_is_done() -> None:
    def rounds_of(bridge: Bridge, rounds: int, begun: Callable[[], None], wrap: SocketWrapper) -> bool:
        assert bridge is BRIDGE
        assert wrap is cooperative
        for _ in range(rounds):
            begun()
        return True

    assert settled(rounds_of) == ["touch"] * ROUNDS + ["done"]


def test_a_daemon_that_cannot_be_asked_is_waited_for_blindly() -> None:
    asked: list[Bridge] = []

    def deaf(bridge: Bridge, *_: object) -> bool:
        asked.append(bridge)
        return False

    assert settled(deaf) == ["done"]
    assert asked == [BRIDGE]
