"""What a bridge sends us is counted against the meter it was given: half of that at once is a crowd, less is none."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nobody import surroundings

from vtrace_ovs.controller.links import Links
from vtrace_ovs.controller.seam import hub
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.lab.daemons import OvsInstance
from vtrace_ovs.model.actions import ApplyActions, Controller
from vtrace_ovs.model.flow import FlowMod, FlowModCommand
from vtrace_ovs.model.match import Match
from vtrace_ovs.model.topology import BridgeId
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.session.commands import Program
from vtrace_ovs.session.events import BridgeUp, CopiesCrowded, Event, PacketInReceived, Programmed
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
SETTINGS = ControllerSettings(generation=1)
COPYING = FlowMod(
    FlowModCommand.ADD,
    table_id=0,
    priority=1,
    match=Match(),
    cookie=1,
    instructions=(ApplyActions((Controller(SETTINGS.controller_id),)),),
)
PACKETS = 64
"""Fewer than half of the meter a bridge has that was told of none."""
FRAME = "ff" * 6 + "020000000001" + "88b5" + "00" * 46


@dataclass(slots=True)
class Connected:
    """A bridge whose every packet is copied to us, and what its link has reported."""

    ovs: OvsInstance
    links: Links
    bridge: BridgeId
    told: list[Event] = field(default_factory=list)

    def wait_for(self, event: type[Event], number: int = 1) -> None:
        """Until so many of these were reported. The hub's own sleep: its threads may be green ones."""
        deadline = time.monotonic() + DEADLINE
        while self.count(event) < number:
            assert time.monotonic() < deadline, self.told
            hub.sleep(0.01)

    def count(self, event: type[Event]) -> int:
        return sum(isinstance(one, event) for one in self.told)

    def program(self, burst: int | None) -> None:
        before = self.count(Programmed)
        self.links.program(Program(self.bridge, before, (COPYING,), burst=burst))
        self.wait_for(Programmed, before + 1)

    def receive_at_once(self, packets: int) -> None:
        before = self.count(PacketInReceived)
        self.ovs.appctl("netdev-dummy/receive", "vm1", *[FRAME] * packets)
        self.wait_for(PacketInReceived, before + packets)


@pytest.fixture
def connected(ovs: OvsInstance, tmp_path: Path) -> Iterator[Connected]:
    ovs.vsctl("add-br", "sw1", "--", "set", "bridge", "sw1", "datapath_type=dummy", "fail_mode=secure")
    ovs.vsctl("add-port", "sw1", "vm1", "--", "set", "interface", "vm1", "type=dummy")
    topology = read_inventory((ovs.ovsdb,), DEADLINE).topology
    (bridge,) = topology.bridges
    told: list[Event] = []
    failed: list[Exception] = []
    with Store.open(tmp_path / "vtrace.db") as store:
        links = Links(SETTINGS, surroundings(store), told.append, failed.append)
        links.start()
        links.adopt(topology)
        links.connect((bridge.id,), None)
        opened = Connected(ovs, links, bridge.id, told)
        opened.wait_for(BridgeUp)
        yield opened
        links.close()
    assert not failed


def test_a_bridge_may_send_less_than_half_of_its_meter_at_once(connected: Connected) -> None:
    connected.program(burst=3 * PACKETS)
    connected.receive_at_once(PACKETS)
    assert not connected.count(CopiesCrowded)


def test_half_of_the_meter_it_was_given_is_a_crowd(connected: Connected) -> None:
    connected.program(burst=PACKETS // 8)
    connected.receive_at_once(PACKETS)
    assert connected.count(CopiesCrowded)


def test_a_program_that_sets_no_meter_leaves_what_a_crowd_is(connected: Connected) -> None:
    connected.program(burst=PACKETS // 8)
    connected.program(burst=None)
    connected.receive_at_once(PACKETS)
    assert connected.count(CopiesCrowded)
