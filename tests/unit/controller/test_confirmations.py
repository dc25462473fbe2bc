from collections.abc import Callable

import pytest

from vtrace_ovs.controller.confirmations import Confirmations
from vtrace_ovs.controller.settling import ROUNDS, Settler
from vtrace_ovs.model.flow import FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import Programmed

ONE, TWO, ELSEWHERE = BridgeId("s1", "one"), BridgeId("s1", "two"), BridgeId("s2", "one")
TOUCH = FlowMod(FlowModCommand.ADD, 0, 1, Match(), 0)
BATCH = 4


class Server:
    """Confirmations whose server follows as soon as it is asked; what happens, in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        bridges = {b: Bridge(b, 1, BridgeRole.VSWITCH, (), ManagementSocket("x")) for b in (ONE, TWO, ELSEWHERE)}
        self.settler = AtOnce(self.happened)
        self.confirmations = Confirmations(self.settler, bridges.get, self._send, self._report)

    def _send(self, bridge: BridgeId, flow: FlowMod) -> None:
        assert flow is TOUCH
        self.happened.append(f"touch {bridge}")

    def _report(self, event: Programmed) -> None:
        self.happened.append(f"confirmed {event.bridge}")

    def expect(self, *bridges: BridgeId) -> None:
        for bridge in bridges:
            self.confirmations.expect(Program(bridge, BATCH, (), TOUCH))

    def confirm(self, bridge: BridgeId, batch: int = BATCH) -> list[str]:
        self.confirmations.confirmed(Programmed(0.0, bridge, batch))
        return self.happened


class AtOnce(Settler):
    """A settler that needs no time."""

    def __init__(self, happened: list[str]) -> None:
        super().__init__(lambda *_: True)
        self._happened = happened

    def settle(self, bridge: Bridge, touch: Callable[[], None], done: Callable[[], None]) -> None:
        self._happened.append(f"settle {bridge.id.node}")
        for _ in range(ROUNDS):
            touch()
        done()


@pytest.fixture
def server() -> Server:
    return Server()


def test_without_a_flow_to_touch_a_confirmation_is_passed_on(server: Server) -> None:
    server.confirmations.expect(Program(ONE, BATCH, ()))
    assert server.confirm(ONE) == ["confirmed s1/one"]


def test_bridges_of_one_server_are_waited_for_once_and_those_of_others_not(server: Server) -> None:
    server.expect(ONE, TWO, ELSEWHERE)
    assert server.confirm(TWO) == []
    touched = ["settle s1", *["touch s1/two"] * ROUNDS]
    assert server.confirm(ONE) == [*touched, "confirmed s1/two", "confirmed s1/one"]


def test_a_bridge_that_is_lost_is_not_waited_for(server: Server) -> None:
    server.expect(ONE, TWO)
    server.confirm(ONE)
    server.confirmations.lost(TWO)
    assert server.happened == ["settle s1", *["touch s1/two"] * ROUNDS, "confirmed s1/one"]


def test_another_batch_is_none_of_its_business(server: Server) -> None:
    server.expect(ONE)
    assert server.confirm(ONE, BATCH + 1) == ["confirmed s1/one"]
