from concurrent.futures import ThreadPoolExecutor
from itertools import count
from queue import Queue
from threading import Event

import pytest

from vtrace_ovs.controller.shared_readings import SharedReadings
from vtrace_ovs.model.cost import ServerReading
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket

DEADLINE = 60.0
BRIDGE, OTHER, ELSEWHERE = (
    Bridge(BridgeId(node, name), 1, BridgeRole.VSWITCH, (), ManagementSocket(""))
    for node, name in (("s1", "br"), ("s1", "br-ex"), ("s2", "br"))
)


class Servers:
    """Answer with the number of the reading, once they are let go."""

    def __init__(self) -> None:
        self.begun: Queue[tuple[str, bool]] = Queue()
        self.let_go = Event()
        self.readings = SharedReadings(self._observe)
        self._numbers = count(1)

    def _observe(self, bridge: Bridge, *, zones: bool) -> ServerReading | None:
        number = next(self._numbers)
        self.begun.put((bridge.id.node, zones))
        assert self.let_go.wait(DEADLINE)
        return ServerReading(float(number))


@pytest.fixture
def servers() -> Servers:
    return Servers()


def test_who_asks_during_a_reading_shares_the_next_and_not_that_one(servers: Servers) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(servers.readings.join(BRIDGE, zones=False).result)
        assert servers.begun.get(timeout=DEADLINE) == ("s1", False)
        later = [pool.submit(servers.readings.join(one, zones=False).result) for one in (BRIDGE, OTHER, BRIDGE)]
        servers.let_go.set()
    assert first.result() == ServerReading(1.0)
    assert [one.result() for one in later] == [ServerReading(2.0)] * 3
    assert servers.begun.qsize() == 1
    assert servers.readings.join(BRIDGE, zones=False).result() == ServerReading(3.0)


def test_another_server_and_another_question_are_not_waited_for(servers: Servers) -> None:
    with ThreadPoolExecutor() as pool:
        for bridge, zones in ((BRIDGE, False), (BRIDGE, True), (ELSEWHERE, False)):
            pool.submit(servers.readings.join(bridge, zones=zones).result)
            assert servers.begun.get(timeout=DEADLINE) == (bridge.id.node, zones)
        servers.let_go.set()
