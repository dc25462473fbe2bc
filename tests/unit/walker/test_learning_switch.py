from collections.abc import Callable

import pytest

from vtrace_ovs.model.actions import OFPP_LOCAL
from vtrace_ovs.model.flow import BridgeTables
from vtrace_ovs.model.mac_table import MacEntry, MacTable, SwitchPort, VlanMode
from vtrace_ovs.walker import layout
from vtrace_ovs.walker.learning_switch import switched
from vtrace_ovs.walker.network import BridgeView
from vtrace_ovs.walker.state import PacketState
from vtrace_ovs.walker.undecided import Unknown

LEARNED = MacTable(
    (MacEntry(2, 0, 2), MacEntry(2, 5, 9), MacEntry(3, 0, 1)),
    (SwitchPort(8, VlanMode.ACCESS, 5), SwitchPort(9, VlanMode.ACCESS, 5)),
)
Switch = Callable[..., list[tuple[int, int]]]


@pytest.fixture
def switch(tables: Callable[..., BridgeTables]) -> Switch:
    """(port, vlan_tci) of every copy; ports are 1 to 9 and LOCAL, 7 is down."""

    def ways(in_port: int, eth_dst: int, tci: int = 0) -> list[tuple[int, int]]:
        state = PacketState(
            layout.placed("in_port", in_port) | layout.placed("eth_dst", eth_dst) | layout.placed("vlan_tci", tci)
        )
        found = switched(BridgeView(tables(down=(7,)), mac_table=LEARNED), state)
        assert not isinstance(found, Unknown)
        return [(port, layout.read(packed, "vlan_tci")) for port, packed in found]

    return ways


def test_a_learned_address_has_one_port_and_the_way_back_is_none(switch: Switch) -> None:
    assert switch(1, 2) == [(2, 0)]
    assert switch(1, 3) == []


def test_an_address_nobody_learned_is_flooded_within_its_vlan(switch: Switch) -> None:
    assert switch(1, 99) == [(port, 0) for port in (2, 3, 4, 5, 6, OFPP_LOCAL)]
    trunks = [(port, 0x1005) for port in (1, 2, 3, 4, 5, 6)]
    assert switch(8, 99) == [*trunks, (9, 0), (OFPP_LOCAL, 0x1005)]
    assert [port for port, _ in switch(1, 0xFFFFFFFFFFFF, 0x1006)] == [2, 3, 4, 5, 6, OFPP_LOCAL]


def test_an_access_port_takes_no_tag_and_nobody_takes_a_reserved_address(switch: Switch) -> None:
    assert switch(8, 99, 0x1005) == []
    assert switch(1, 0x0180C2000003) == []
    assert switch(77, 99) == []


def test_without_a_mac_table_the_ports_it_may_use_are_named(tables: Callable[..., BridgeTables]) -> None:
    found = switched(BridgeView(tables(down=tuple(range(3, 10)))), PacketState(layout.placed("in_port", 1)))
    assert found == Unknown("NORMAL forwards by the MAC table, which is not known; it may use the ports 2, LOCAL")
    unknown = PacketState(0, layout.bits_of("eth_dst"))
    assert isinstance(switched(BridgeView(tables(), mac_table=LEARNED), unknown), Unknown)


def test_what_else_normal_depends_on_is_named(tables: Callable[..., BridgeTables]) -> None:
    view = BridgeView(tables(down=tuple(range(3, 10))), mac_table=MacTable(unmodelled="bond0 is a bond"))
    found = switched(view, PacketState(layout.placed("in_port", 1)))
    assert found == Unknown("NORMAL is not predicted here, because bond0 is a bond; it may use 2, LOCAL")
